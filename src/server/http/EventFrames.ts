/**
 * The frames of an event stream: one for each event of a turn, then `done` with the rest of the JSON answer, or `error`
 * with the answer that the call would have had.
 */
import { Effect, Schema } from "effect"
import type { TurnEvent } from "../../wire/TurnEvent.ts"
import { turnEvent } from "../../wire/TurnEventCodec.ts"
import type { CallAnswer } from "../calls/CallAnswer.ts"

/** Keeps a silent connection open. */
export const keepAlive = ": keep-alive\n\n"

const frame = (event: string, data: unknown) => `event: ${event}\ndata: ${JSON.stringify(data)}\n\n`

const encode = Schema.encodeEffect(turnEvent)

/** The frame of an event. Every event that an agent can report has a wire form. */
export const fromEvent = (event: TurnEvent): Effect.Effect<string> =>
  event._tag === "Text" && event.messageId === undefined
    ? Effect.succeed(frame("text", { type: "text", content: event.content }))
    : Effect.map(Effect.orDie(encode(event)), (encoded) => frame(encoded.type, encoded))

const Done = Schema.fromJsonString(
  Schema.StructWithRest(Schema.Struct({ events: Schema.Array(Schema.Unknown) }), [
    Schema.Record(Schema.String, Schema.Unknown)
  ])
)
const decodeDone = Schema.decodeEffect(Done)
const parse = Schema.decodeEffect(Schema.fromJsonString(Schema.Unknown))
const isTyped = Schema.is(Schema.Struct({ type: Schema.String }))

/** The last frames. A replayed answer contains its events, which have not been sent then. */
export const fromAnswer = Effect.fnUntraced(function* (
  { body, status }: CallAnswer,
  { eventsSent }: { readonly eventsSent: boolean }
) {
  if (status !== 200) return frame("error", { status, body: yield* parse(body) })
  const { events, ...rest } = yield* decodeDone(body)
  const unsent = eventsSent ? [] : events.filter(isTyped).map((event) => frame(event.type, event))
  return unsent.join("") + frame("done", rest)
}, Effect.orDie)
