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

/** Four of the largest turns at once: a turn holds several times the length of what its agent writes. */
const maxHeld = 256 * 1024 * 1024

export const make = (limit = maxHeld): TurnBudget => {
  let held = 0
  return {
    take: (characters) => {
      if (held + characters > limit) return false
      held += characters
      return true
    },
    hold: (characters) => {
      held += characters
    },
    give: (characters) => {
      held -= characters
    }
  }
}

export const TurnBudget = Context.Reference<TurnBudget>("effect-clawdforge/server/TurnBudget", {
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
