/**
 * Work that outlives its caller, and that a shutdown waits for.
 */
import { type Duration, Effect, Fiber, FiberSet, type Scope } from "effect"

/** Runs an effect whose caller may go away. */
export type Background = <A, E, R>(effect: Effect.Effect<A, E, R>) => Effect.Effect<Fiber.Fiber<A, E>, never, R>

/**
 * The background of a scope: when the scope closes, what runs is waited for within the bound, then interrupted. After
 * that there is none, and who asks waits for the effect.
 */
export const make = Effect.fnUntraced(function* (
  bound: Duration.Duration
): Effect.fn.Return<Background, never, Scope.Scope> {
  const fibers = yield* FiberSet.make()
  let isOver = false
  yield* Effect.addFinalizer(() =>
    Effect.timeoutOption(FiberSet.awaitEmpty(fibers), bound).pipe(
      Effect.andThen(
        Effect.sync(() => {
          isOver = true
        })
      )
    )
  )
  return (effect) =>
    Effect.suspend(() => (isOver ? Effect.tap(Effect.forkChild(effect), Fiber.await) : FiberSet.run(fibers, effect)))
})
