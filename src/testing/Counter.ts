/**
 * A count that a test can wait for.
 */
import { Effect, Latch } from "effect"

export interface Counter {
  count: number
  readonly more: Latch.Latch
}

export const make: Effect.Effect<Counter> = Effect.map(Latch.make(), (more) => ({ count: 0, more }))

export const add = (counter: Counter): Effect.Effect<void> =>
  Effect.suspend(() => {
    counter.count++
    return Effect.asVoid(counter.more.open)
  })

/** Waits until it is at least so much. */
export const reach = (counter: Counter, count: number): Effect.Effect<void> =>
  Effect.suspend(() => {
    if (counter.count >= count) return Effect.void
    counter.more.closeUnsafe()
    return Effect.andThen(counter.more.await, reach(counter, count))
  })
