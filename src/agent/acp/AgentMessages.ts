/**
 * Decodes an agent's standard output: one JSON-RPC message per line, within bounds on size and nesting. Lines that are
 * not messages, such as a banner or a stray print, are passed to `onStrayLine` and tolerated up to a limit.
 */
import type { AnyMessage } from "@agentclientprotocol/sdk"
import { Data, Effect, Option, Predicate, Schema, Stream } from "effect"
import * as WellFormed from "../../wire/WellFormed.ts"
import { rest } from "../../wire/EventKinds.ts"
import * as JsonDepth from "./JsonDepth.ts"
import type { OutputBudget } from "./OutputBudget.ts"

/** The agent's output exceeded a bound, or is not the protocol. */
export class Unreadable extends Data.TaggedError("Unreadable")<{
  /** Completes a sentence that begins with the agent's name. */
  readonly reason: string
}> {
  override get message(): string {
    return this.reason
  }
}

const unreadable = (reason: string) => Effect.fail(new Unreadable({ reason }))

/** In characters. A message may carry a file or an image, but parsing a long line blocks the event loop. */
const maxLineLength = 16 * 1024 * 1024

/** Per message. Many small values take far more time and memory to parse than one string of the same length. */
const maxValues = 100_000

/** Per turn. An agent that prints more stray lines than this does not speak the protocol. */
const maxStrayLines = 1_000

/** The most characters that an agent may write in one turn: all of them may end up in the response. */
const maxTurnLength = 64 * 1024 * 1024

/** The extra characters charged per value, which takes far more memory than its text. */
const valueWeight = 16

/** Values nested deeper become null, since clients refuse responses that are nested much deeper. */
const maxDepth = 48

/** The output of one turn, counted against its bounds. */
export interface OutputCounters {
  /** Reserved in the budget. */
  characters: number
  strayLines: number
}

export const makeCounters = (): OutputCounters => ({ characters: 0, strayLines: 0 })

const jsonrpc = Schema.Literal("2.0")
const id = Schema.Union([Schema.String, Schema.Finite, Schema.Null])
const isMessage: (message: unknown) => message is AnyMessage = Schema.is(
  Schema.Union([
    Schema.Struct({ jsonrpc, id, method: Schema.String }),
    Schema.Struct({ jsonrpc, method: Schema.String }),
    Schema.Struct({ jsonrpc, id, result: Schema.Unknown }),
    Schema.Struct({ jsonrpc, id, error: Schema.Struct({ code: Schema.Int, message: Schema.String }) })
  ])
)
const parsePlain = Schema.decodeUnknownOption(Schema.fromJsonString(Schema.Unknown))

const parseRevived = Schema.decodeUnknownOption(
  Schema.fromJsonString(Schema.Unknown, {
    reviver: (key, value: unknown) =>
      typeof value === "number" && !Number.isFinite(value) ? null : WellFormed.reviver(key, value)
  })
)

/**
 * Matches a number that may be too large for a double: it would parse as infinity, which JSON cannot express, so it
 * becomes null. The lookbehind keeps the match linear on a long run of digits.
 */
const mayOverflow = /[eE]\+?\d{3}|(?<!\d)\d{309}/

const Chunk = Schema.StructWithRest(
  Schema.Struct({
    sessionUpdate: Schema.Literals(["agent_message_chunk", "agent_thought_chunk"]),
    content: Schema.StructWithRest(Schema.Struct({ type: Schema.Literal("text"), text: Schema.String }), rest)
  }),
  rest
)
const isChunkMessage = Schema.is(
  Schema.StructWithRest(Schema.Struct({ params: Schema.StructWithRest(Schema.Struct({ update: Chunk }), rest) }), rest)
)

/** A message with the text of its chunk as it was sent: the other half of a character at its end may be in the next chunk. */
const withTextAsSent = (message: unknown, sent: unknown): unknown => {
  if (!isChunkMessage(message) || !isChunkMessage(sent)) return message
  const { params } = message
  const content = { ...params.update.content, text: sent.params.update.content.text }
  return { ...message, params: { ...params, update: { ...params.update, content } } }
}

/** Parses a message, which is well-formed Unicode but for the text of a chunk. */
const parse = (json: string): Option.Option<unknown> => {
  const sent = parsePlain(json)
  if (WellFormed.mayHaveHalves(json)) {
    return Option.flatMap(sent, (sent) => Option.map(parseRevived(json), (message) => withTextAsSent(message, sent)))
  }
  return mayOverflow.test(json) ? parseRevived(json) : sent
}

const isResponse = Schema.is(
  Schema.Struct({ jsonrpc, id, method: Schema.optionalKey(Schema.Never), error: Schema.optionalKey(Schema.Unknown) })
)

/** JSON-RPC's general error code. */
const internalError = -32603

/** A malformed response becomes an error response, so that its request fails instead of waiting forever. */
const toMessage = (json: unknown): Option.Option<AnyMessage> => {
  if (isMessage(json)) return Option.some(json)
  if (!isResponse(json)) return Option.none()
  const data = Predicate.hasProperty(json.error, "message") ? json.error.message : json.error
  const error = { code: internalError, message: "its response is not valid JSON-RPC", data }
  return Option.some({ jsonrpc: json.jsonrpc, id: json.id, error })
}

/** An incomplete line. Its pieces are joined once, at its end, since it may arrive one character at a time. */
interface PartialLine {
  readonly pieces: Array<string>
  length: number
}

const startingWith = (text: string): PartialLine => ({ pieces: [text], length: text.length })

const splitLines = (line: PartialLine, text: string): readonly [PartialLine, ReadonlyArray<string>] => {
  const [first = "", ...others] = text.split("\n")
  const last = others.pop()
  line.pieces.push(first)
  line.length += first.length
  return last === undefined ? [line, []] : [startingWith(last), [line.pieces.join(""), ...others]]
}

const lines = <E, R>(text: Stream.Stream<string, E, R>): Stream.Stream<string, E | Unreadable, R> =>
  text.pipe(
    Stream.mapAccumEffect(
      () => startingWith(""),
      (line, chunk: string) => {
        const split = splitLines(line, chunk)
        return split[0].length > maxLineLength
          ? unreadable(`wrote a line of more than ${maxLineLength} characters`)
          : Effect.succeed(split)
      }
    )
  )

export interface Options {
  readonly budget: OutputBudget
  /** Updated here, and reset by the connection at the start of a turn. */
  readonly counters: OutputCounters
  /** Receives each line that is not a message. */
  readonly onStrayLine: (line: string) => Effect.Effect<void>
}

/** Decodes the messages of an agent's output. */
export const decode = <E, R>(
  output: Stream.Stream<Uint8Array, E, R>,
  { budget, counters, onStrayLine }: Options
): Stream.Stream<AnyMessage, E | Unreadable, R> => {
  const skip = (line: string) =>
    Effect.suspend(() => {
      counters.strayLines++
      return counters.strayLines > maxStrayLines
        ? unreadable(`wrote more than ${maxStrayLines} lines that are not messages`)
        : Effect.as(onStrayLine(line), [])
    })
  return output.pipe(
    Stream.decodeText(),
    lines,
    Stream.filter((line) => line.trim() !== ""),
    Stream.mapEffect((line): Effect.Effect<ReadonlyArray<AnyMessage>, Unreadable> => {
      const { json, values } = JsonDepth.cut(line, maxDepth)
      if (values > maxValues) return unreadable(`wrote a line of more than ${maxValues} values`)
      const characters = line.length + values * valueWeight
      if (counters.characters + characters > maxTurnLength)
        return unreadable(`wrote more than ${maxTurnLength} characters in one turn`)
      if (!budget.take(characters)) return unreadable("wrote more than the memory shared by all turns can hold")
      counters.characters += characters
      const message = Option.flatMap(parse(json), toMessage)
      return Option.isSome(message) ? Effect.succeed([message.value]) : skip(line)
    }),
    Stream.flattenIterable
  )
}
