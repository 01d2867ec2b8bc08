/**
 * The sessions that one scope holds. Its end starts to close them one after another, and waits for all of them together, so
 * that a silent server holds it up once and not once for each session.
 */
import { Effect, Fiber, type Scope } from "effect"
import type { Background } from "./Background.ts"

export interface CloseGroup {
  /** Counts a session that the scope holds from now on. */
  readonly add: () => void
  /** Starts to close a session; for the last one of the scope it waits until all are closed. The close must not fail. */
  readonly close: (close: Effect.Effect<void>) => Effect.Effect<void>
}

const makeGroup = (background: Background): CloseGroup => {
  let held = 0
  let closing: Array<Fiber.Fiber<void>> = []
  return {
    add: () => {
      held++
    },
    close: Effect.fnUntraced(function* (close) {
      closing.push(yield* background(close))
      if (--held > 0) return
      const all = closing
      closing = []
      yield* Effect.forEach(all, Fiber.await, { discard: true })
    })
  }
}

/** The group of each scope; it goes with the scope. */
export const make = (background: Background): ((scope: Scope.Scope) => CloseGroup) => {
  const groups = new WeakMap<Scope.Scope, CloseGroup>()
  return (scope) => {
    const group = groups.get(scope) ?? makeGroup(background)
    groups.set(scope, group)
    return group
  }
}
