/**
 * Waiting for what is not announced: a check is repeated until it holds.
 */
import { Effect, Schedule } from "effect"
import { inspect } from "node:util"
import { patience } from "./Patience.ts"

/** Repeats a check until its value is as expected, and returns that; says what it waited for if that never comes. */
export const eventually =
  <A>(what: string, isExpected: (value: A) => boolean) =>
  <E, R>(check: Effect.Effect<A, E, R>): Effect.Effect<A, E, R> =>
    Effect.suspend(() => {
      let last: A | undefined
      return check.pipe(
        Effect.tap((value) => Effect.sync(() => (last = value))),
        Effect.repeat({ until: isExpected, schedule: Schedule.spaced("10 millis") }),
        Effect.timeoutOrElse({
          duration: patience,
          orElse: () => Effect.die(new Error(`not within ${patience}: ${what}; it was ${inspect(last)} last`))
        })
      )
    })
