/**
 * How much the turns of all agents may hold together, with the answers that are not sent yet. The heap is one for the
 * whole process, so this is too: a turn within its own bounds shall not end the turns of everybody else.
 */
import { Context, Effect, type Scope } from "effect"
import type { OutputBudget } from "../agent/acp/OutputBudget.ts"

export interface TurnBudget extends OutputBudget {
  /** Takes as many characters even where there is no room: they are held already. */
  readonly hold: (characters: number) => void
}

/** Four of the largest turns at once: of what an agent writes, several times its length is held until it is answered. */
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

/** Counts what is held until the scope closes, such as an answer that waits for its reader. */
export const hold = (characters: number): Effect.Effect<void, never, Scope.Scope> =>
  Effect.flatMap(TurnBudget, (budget) =>
    Effect.acquireRelease(
      Effect.sync(() => budget.hold(characters)),
      () => Effect.sync(() => budget.give(characters))
    )
  )
