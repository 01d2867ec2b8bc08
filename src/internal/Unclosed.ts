/**
 * A session that could not be closed: its operator is told, and it is counted.
 */
import { Cause, Effect, Exit, Metric, Predicate } from "effect"
import type { SessionId } from "../SessionInfo.ts"
import { Enabled, failedCloses } from "../Telemetry.ts"

const reasonOf = (cause: Cause.Cause<unknown>): string => {
  if (Cause.hasInterruptsOnly(cause)) return "its client was gone before the server answered"
  const error = Cause.squash(cause)
  return Predicate.hasProperty(error, "message") ? String(error.message) : String(error)
}

/** Closes a session for nobody who waits: how it failed is told, and fails nothing else. */
export const tellFailure = <A, E>(id: SessionId, close: Effect.Effect<A, E>): Effect.Effect<void> =>
  Effect.flatMap(Effect.exit(close), (exit) => (Exit.isSuccess(exit) ? Effect.void : tell(id, reasonOf(exit.cause))))

const tell = Effect.fnUntraced(function* (id: SessionId, reason: string) {
  if (yield* Enabled) yield* Metric.update(failedCloses, 1)
  yield* Effect.logWarning(
    `session ${id} could not be closed, and stays open until the server finds it idle: ${reason}`
  )
})
