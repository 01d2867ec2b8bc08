/**
 * The memory that the turns of all agents and the answers on their way may hold together. The heap is shared by the whole
 * process, so its budget is too: a turn within its own bounds must not end the turns of others.
 */
import { Context, Effect, type Scope } from "effect"
import type { OutputBudget } from "../agent/acp/OutputBudget.ts"

export interface TurnBudget extends OutputBudget {
  /** Takes characters even beyond the limit, since they are held already. */
  readonly hold: (characters: number) => void
}

/** The budget, and what each app may take of it for the frames of its calls. */
export interface SharedBudget extends TurnBudget {
  readonly shareOf: (appId: number) => TurnBudget
}

/** Four of the largest turns at once: a turn holds several times the length of what its agent writes. */
const maxHeld = 256 * 1024 * 1024

/** How many apps can use up their shares before the budget is. */
const shares = 4

export const make = (limit = maxHeld): SharedBudget => {
  const heldBy = new Map<number, number>()
  let held = 0
  const add = (characters: number) => {
    held += characters
  }
  const fits = (characters: number) => held + characters <= limit
  const take = (characters: number) => {
    const taken = fits(characters)
    if (taken) add(characters)
    return taken
  }
  return {
    take,
    hold: add,
    give: (characters) => add(-characters),
    shareOf: (appId) => {
      const ofApp = () => heldBy.get(appId) ?? 0
      const addOfApp = (characters: number) => {
        const left = ofApp() + characters
        if (left > 0) heldBy.set(appId, left)
        else heldBy.delete(appId)
        add(characters)
      }
      return {
        take: (characters) => {
          const taken = fits(characters) && ofApp() + characters <= limit / shares
          if (taken) addOfApp(characters)
          return taken
        },
        hold: addOfApp,
        give: (characters) => addOfApp(-characters)
      }
    }
  }
}

export const TurnBudget = Context.Reference<SharedBudget>("effect-clawdforge/server/TurnBudget", {
  defaultValue: () => make()
})

/** Counts characters that are held until the scope closes, such as those of an answer that waits for its reader. */
export const hold = (characters: number): Effect.Effect<void, never, Scope.Scope> =>
  Effect.flatMap(TurnBudget, (budget) =>
    Effect.acquireRelease(
      Effect.sync(() => budget.hold(characters)),
      () => Effect.sync(() => budget.give(characters))
    )
  )
