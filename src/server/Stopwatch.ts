/**
 * Elapsed time by the monotonic clock: the wall clock may be set back in the middle of a turn.
 */
import { Clock, Duration, Effect } from "effect"

/** The time since the start, in whole milliseconds. */
export type Stopwatch = Effect.Effect<Duration.Duration>

const nanosPerMilli = 1_000_000n

export const start: Effect.Effect<Stopwatch> = Effect.map(Clock.monotonicTimeNanos, (began) =>
  Effect.map(Clock.monotonicTimeNanos, (now) => Duration.millis(Number((now - began) / nanosPerMilli)))
)
