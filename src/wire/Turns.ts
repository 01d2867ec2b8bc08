/**
 * `POST /sessions/{id}/turn` and `POST /sessions/{id}/cancel`.
 */
import { type Duration, Schema } from "effect"
import { FileTokenText, Linger, Millis, NotBlank, nullable, orNull, Seconds, SessionId } from "./Ids.ts"
import type * as TurnEvent from "./TurnEvent.ts"
import { type Usage, usage } from "./Usage.ts"

/** The body of a turn. */
export const TurnRequest = Schema.Struct({
  prompt: NotBlank,
  files: nullable(Schema.Array(FileTokenText)),
  timeout: nullable(Seconds),
  linger: nullable(Linger)
}).pipe(Schema.encodeKeys({ timeout: "timeout_secs", linger: "linger_secs" }))
export type TurnRequest = typeof TurnRequest.Type

/** A turn that ended. */
export interface Turn {
  readonly sessionId: SessionId
  /** Its number in the session, from 1. */
  readonly index: number
  /** All that the agent said, in order, with nothing between. */
  readonly text: string
  /** What happened, in order; chunks of one message are one event, and so are all updates of one tool call. */
  readonly events: ReadonlyArray<TurnEvent.TurnEvent>
  /** Why it ended: `end_turn`, `max_tokens`, `max_turn_requests`, `refusal`, `cancelled`, or what else a server says. */
  readonly stopReason: string | null
  /** How long it took, by the server's clock, in whole milliseconds. */
  readonly duration: Duration.Duration
  /** As far as the agent and the server report it. */
  readonly usage?: Usage | undefined
}

/** The fields of a turn but for its text, with its events by a schema of the caller. */
export const fieldsWith = <S extends Schema.Constraint>(events: S) => ({
  sessionId: SessionId,
  index: Schema.Int,
  events,
  stopReason: orNull(Schema.String),
  duration: Millis,
  usage: Schema.optional(usage)
})

export const keys = {
  sessionId: "session_id",
  index: "turn_index",
  stopReason: "stop_reason",
  duration: "duration_ms"
} as const

/** An array whose elements are not looked at. */
const AnyArray = Schema.declare((value): value is ReadonlyArray<unknown> => Array.isArray(value), { expected: "array" })

/**
 * The answer to a turn. Its events stay as they came: servers send three dialects of them, and `TurnEvents.decode` reads
 * each.
 */
export const TurnResponse = Schema.Struct({ ok: Schema.Literal(true), ...fieldsWith(AnyArray) }).pipe(
  Schema.encodeKeys(keys)
)
export type TurnResponse = typeof TurnResponse.Type

/** The answer to a cancel: whether a turn was under way. */
export const Cancelled = Schema.Struct({ ok: Schema.Literal(true), cancelled: Schema.Boolean })
export type Cancelled = typeof Cancelled.Type
