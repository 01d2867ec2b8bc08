/**
 * Work that outlives its caller, and that shutdown waits for.
 */
import { type Duration, Effect, Fiber, FiberSet, type Scope } from "effect"

/** Runs an effect that goes on when its caller is interrupted. */
export type Background = <A, E, R>(effect: Effect.Effect<A, E, R>) => Effect.Effect<Fiber.Fiber<A, E>, never, R>

/**
 * When the scope closes, running work is awaited within the bound, then interrupted. From then on there is no background,
 * and callers wait for their effect.
 */
export const make = Effect.fnUntraced(function* (
  bound: Duration.Duration
): Effect.fn.Return<Background, never, Scope.Scope> {
  const fibers = yield* FiberSet.make()
  let isClosed = false
  yield* Effect.addFinalizer(() =>
    Effect.timeoutOption(FiberSet.awaitEmpty(fibers), bound).pipe(
      Effect.andThen(
        Effect.sync(() => {
          isClosed = true
        })
      )
    )
  )
  return (effect) =>
    Effect.suspend(() => (isClosed ? Effect.tap(Effect.forkChild(effect), Fiber.await) : FiberSet.run(fibers, effect)))
})
