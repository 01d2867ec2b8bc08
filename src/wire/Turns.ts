/**
 * `POST /sessions/{id}/turn`.
 */
import { Schema } from "effect"
import { FileToken, Millis, NotBlank, nullable, orNull, Seconds, SessionId } from "./Ids.ts"
import { Usage } from "./Usage.ts"

/** The body of a turn. */
export const TurnRequest = Schema.Struct({
  prompt: NotBlank,
  files: nullable(Schema.Array(FileToken)),
  timeout: nullable(Seconds)
}).pipe(Schema.encodeKeys({ timeout: "timeout_secs" }))
export type TurnRequest = typeof TurnRequest.Type

/** An array whose elements are not looked at. */
const AnyArray = Schema.declare((value): value is ReadonlyArray<unknown> => Array.isArray(value), { expected: "array" })

/**
 * The answer to a turn. Its events stay as they came: three dialects of them are in the field, and `TurnEvents.decode`
 * reads each.
 */
export const TurnResponse = Schema.Struct({
  ok: Schema.Literal(true),
  sessionId: SessionId,
  turnIndex: Schema.Int,
  events: AnyArray,
  stopReason: orNull(Schema.String),
  duration: Millis,
  usage: Schema.optionalKey(Usage)
}).pipe(
  Schema.encodeKeys({
    sessionId: "session_id",
    turnIndex: "turn_index",
    stopReason: "stop_reason",
    duration: "duration_ms"
  })
)
export type TurnResponse = typeof TurnResponse.Type

/** The answer to a cancel: whether a turn was under way. */
export const Cancelled = Schema.Struct({ ok: Schema.Literal(true), cancelled: Schema.Boolean })
export type Cancelled = typeof Cancelled.Type
