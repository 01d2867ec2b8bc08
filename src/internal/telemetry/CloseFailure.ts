/**
 * Reports sessions that could not be closed: a warning in the log, and a counter.
 */
import { Cause, Effect, Metric, Predicate } from "effect"
import type { SessionId } from "../../SessionInfo.ts"
import { Enabled, failedCloses } from "../../Telemetry.ts"
import * as Label from "./Label.ts"

const reasonOf = (cause: Cause.Cause<unknown>): string => {
  if (Cause.hasInterruptsOnly(cause)) return "its client was gone before the server answered"
  const error = Cause.squash(cause)
  return Predicate.hasProperty(error, "message") ? String(error.message) : String(error)
}

/** A log shows an id only where a span would. */
const nameOf = (id: SessionId): string => (Label.isConversation(id) ? `session ${id}` : "a session")

/** Runs a close whose result no one waits for: a failure is reported, and fails nothing else. */
export const report = <A, E>(id: SessionId, close: Effect.Effect<A, E>): Effect.Effect<void> =>
  close.pipe(
    Effect.onError((cause) =>
      warn(`${nameOf(id)} could not be closed, and stays open until the server finds it idle: ${reasonOf(cause)}`)
    ),
    Effect.exit,
    Effect.asVoid
  )

const warn = Effect.fnUntraced(function* (warning: string) {
  if (yield* Enabled) yield* Metric.update(failedCloses, 1)
  yield* Effect.logWarning(warning)
})

/** Reports a session that may exist, but has no handle: its creation failed, or no one waited for it. */
export const reportUnknown = (reason: string): Effect.Effect<void> =>
  warn(
    `a session without a handle may have been created, and then stays open until the server finds it idle: ${reason}`
  )

/** Reports a session whose id was never learned: its client ended before the server answered. */
export const reportUnanswered: Effect.Effect<void> = warn(
  "a session was requested, and its client ended before the server answered: if it was created, it stays open until the server finds it idle"
)
