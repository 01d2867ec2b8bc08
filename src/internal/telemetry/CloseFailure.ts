/**
 * A session that could not be closed: its operator is told, and it is counted.
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

/** A log shows no more of an id than a span does. */
const nameOf = (id: SessionId): string => (Label.isConversation(id) ? `session ${id}` : "a session")

/** Closes a session for nobody who waits: how it failed is told, and fails nothing else. */
export const tellFailure = <A, E>(id: SessionId, close: Effect.Effect<A, E>): Effect.Effect<void> =>
  close.pipe(
    Effect.onError((cause) =>
      tell(`${nameOf(id)} could not be closed, and stays open until the server finds it idle: ${reasonOf(cause)}`)
    ),
    Effect.exit,
    Effect.asVoid
  )

const tell = Effect.fnUntraced(function* (warning: string) {
  if (yield* Enabled) yield* Metric.update(failedCloses, 1)
  yield* Effect.logWarning(warning)
})

/** Of a session whose id is not known: its client ended before the server answered. */
export const tellUnanswered: Effect.Effect<void> = tell(
  "a session was asked for, and its client was gone before the server answered: if it was made, it stays open until the server finds it idle"
)
