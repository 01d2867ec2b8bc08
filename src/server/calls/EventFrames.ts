/**
 * The frames of an event stream: one for each event of a call, with its number, then `done` with the rest of the JSON
 * answer, or `error` with the answer that the call would have had. Frames that are not there any more are a `gap`.
 */
import { Effect, Schema } from "effect"
import type { Gap } from "../../wire/Frames.ts"
import type { TurnEvent } from "../../wire/TurnEvent.ts"
import { turnEvent } from "../../wire/TurnEventCodec.ts"
import type { CallAnswer } from "./CallAnswer.ts"

/** Keeps a silent connection open. */
export const keepAlive = ": keep-alive\n\n"

const frame = (event: string, data: unknown) => `event: ${event}\ndata: ${JSON.stringify(data)}\n\n`

const encode = Schema.encodeEffect(turnEvent)

/** The frame of an event, by its number in the call, from 1. Every event that an agent can report has a wire form. */
export const fromEvent = (id: number, event: TurnEvent): Effect.Effect<string> =>
  event._tag === "Text" && event.messageId === undefined
    ? Effect.succeed(`id: ${id}\n${frame("text", { type: "text", content: event.content })}`)
    : Effect.map(Effect.orDie(encode(event)), (encoded) => `id: ${id}\n${frame(encoded.type, encoded)}`)

/** Splits the text of several frames. JSON has no line breaks, so an empty line is the end of a frame. */
export const split = (text: string): ReadonlyArray<string> => text.split(/(?<=\n\n)/)

/** The frame in place of those that are not there any more. */
export const gap = (data: Gap): string => frame("gap", data)

const Body = Schema.fromJsonString(Schema.Record(Schema.String, Schema.Unknown))
const decodeBody = Schema.decodeEffect(Body)

/** The last frame: the answer, without the events of a turn, which have frames of their own. */
export const fromAnswer = Effect.fnUntraced(function* ({ body, status }: CallAnswer) {
  const answer = yield* decodeBody(body)
  if (status !== 200) return frame("error", { status, body: answer })
  const { events: _, ...rest } = answer
  return frame("done", rest)
}, Effect.orDie)
