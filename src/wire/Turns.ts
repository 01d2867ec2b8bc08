/**
 * `POST /sessions/{id}/turn` and `POST /sessions/{id}/cancel`.
 */
import { type Duration, Option, Schema, Struct } from "effect"
import { FileTokenText, Millis, NotBlank, nullable, orNull, Seconds, SessionId } from "./Ids.ts"
import * as TurnEvent from "./TurnEvent.ts"
import { type Usage, usage } from "./Usage.ts"

/** The body of a turn. */
export const TurnRequest = Schema.Struct({
  prompt: NotBlank,
  files: nullable(Schema.Array(FileTokenText)),
  timeout: nullable(Seconds)
}).pipe(Schema.encodeKeys({ timeout: "timeout_secs" }))
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

const fieldsWith = <S extends Schema.Constraint>(events: S) => ({
  sessionId: SessionId,
  index: Schema.Int,
  events,
  stopReason: orNull(Schema.String),
  duration: Millis,
  usage: Schema.optional(usage)
})

const keys = {
  sessionId: "session_id",
  index: "turn_index",
  stopReason: "stop_reason",
  duration: "duration_ms"
} as const

const parts = Schema.Struct(fieldsWith(Schema.Array(TurnEvent.TurnEvent)))

/** Its text is in its events, so it is not encoded: a stored turn cannot contradict itself. */
const turnStruct = parts.pipe(
  Schema.encodeKeys(keys),
  Schema.decodeTo(
    parts
      .mapFields(Struct.map(Schema.toType))
      .pipe(Schema.extendTo({ text: Schema.String }, { text: ({ events }) => Option.some(TurnEvent.text(events)) }))
  )
)

/** As the wire has it, without `ok`. */
export interface TurnEncoded extends Schema.Codec.Encoded<typeof turnStruct> {}

export const turn: Schema.Codec<Turn, TurnEncoded> = turnStruct

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
