/**
 * The messages on an agent's standard output: one JSON object a line. A line that is not a message (a banner, a stray
 * print) is handed to whoever keeps such lines, and is no reason to give up, up to a bound.
 */
import type { AnyMessage } from "@agentclientprotocol/sdk"
import { Data, Effect, Option, Predicate, Schema, Stream } from "effect"
import * as JsonDepth from "./JsonDepth.ts"
import type { OutputBudget } from "./OutputBudget.ts"

/** The agent's output cannot be followed any further. */
export class Unreadable extends Data.TaggedError("Unreadable")<{
  /** Goes into a sentence after the agent's name. */
  readonly reason: string
}> {
  override get message(): string {
    return this.reason
  }
}

const unreadable = (reason: string) => Effect.fail(new Unreadable({ reason }))

/** An agent may send a file or an image in one message. While a long one is parsed, nothing else happens here. */
const maxLine = 16 * 1024 * 1024

/** Lists of many small values take far longer to parse, and far more memory, than a text of their length. */
const maxValues = 100_000

/** An agent that prints more stray lines than this in one turn does not speak the protocol. */
const maxStray = 1_000

/** As much as an agent may write in one turn, in characters: all of it may be in the answer. */
const maxTurn = 64 * 1024 * 1024

/** A value takes far more memory than the characters that it is written with: it counts as this many more. */
const valueWeight = 16

/** A client refuses an answer that is nested much deeper, so what an agent nests deeper becomes null. */
const maxDepth = 48

/** What an agent has written from one turn up to the next. */
export interface Written {
  /** These are taken from the budget. */
  characters: number
  strays: number
}

export const nothing = (): Written => ({ characters: 0, strays: 0 })

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

const parseFinite = Schema.decodeUnknownOption(
  Schema.fromJsonString(Schema.Unknown, {
    reviver: (_key, value: unknown) => (typeof value === "number" && !Number.isFinite(value) ? null : value)
  })
)

/**
 * A number that is too large for a double is read as infinity, which JSON cannot express: it becomes null. Digits are
 * counted from the first of them on, since counting from each takes minutes over a line of nothing else.
 */
const mayOverflow = /[eE]\+?\d{3}|(?<!\d)\d{309}/

const parse = (json: string) => (mayOverflow.test(json) ? parseFinite(json) : parsePlain(json))

const isAnswer = Schema.is(
  Schema.Struct({ jsonrpc, id, method: Schema.optionalKey(Schema.Never), error: Schema.optionalKey(Schema.Unknown) })
)

/** JSON-RPC's code for an error that has no other. */
const internalError = -32603

/** An answer that has no form of the protocol is a failure: whoever waits for it would wait forever. */
const toMessage = (json: unknown): Option.Option<AnyMessage> => {
  if (isMessage(json)) return Option.some(json)
  if (!isAnswer(json)) return Option.none()
  const data = Predicate.hasProperty(json.error, "message") ? json.error.message : json.error
  const error = { code: internalError, message: "its answer is no answer of the protocol", data }
  return Option.some({ jsonrpc: json.jsonrpc, id: json.id, error })
}

/** A line whose end has not come yet. Its pieces are only joined at its end: one may come in as many as it has characters. */
interface Unfinished {
  readonly pieces: Array<string>
  length: number
}

const startingWith = (text: string): Unfinished => ({ pieces: [text], length: text.length })

const splitLines = (line: Unfinished, text: string): readonly [Unfinished, ReadonlyArray<string>] => {
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
        return split[0].length > maxLine
          ? unreadable(`wrote a line of more than ${maxLine} characters`)
          : Effect.succeed(split)
      }
    )
  )

export interface Options {
  readonly budget: OutputBudget
  /** Counts against the bounds; whoever starts a turn sets it back to nothing. */
  readonly written: Written
  /** Gets the lines that are no messages. */
  readonly stray: (line: string) => Effect.Effect<void>
}

/** Reads the messages of an agent's output. */
export const decode = <E, R>(
  output: Stream.Stream<Uint8Array, E, R>,
  { budget, stray, written }: Options
): Stream.Stream<AnyMessage, E | Unreadable, R> => {
  const skip = (line: string) =>
    Effect.suspend(() => {
      written.strays++
      return written.strays > maxStray
        ? unreadable(`wrote more than ${maxStray} lines that are no messages`)
        : Effect.as(stray(line), [])
    })
  return output.pipe(
    Stream.decodeText(),
    lines,
    Stream.filter((line) => line.trim() !== ""),
    Stream.mapEffect((line): Effect.Effect<ReadonlyArray<AnyMessage>, Unreadable> => {
      const { json, values } = JsonDepth.cut(line, maxDepth)
      if (values > maxValues) return unreadable(`wrote a line of more than ${maxValues} values`)
      const characters = line.length + values * valueWeight
      if (written.characters + characters > maxTurn)
        return unreadable(`wrote more than ${maxTurn} characters in one turn`)
      if (!budget.take(characters)) return unreadable("wrote more than there is room for beside the turns of others")
      written.characters += characters
      const message = Option.flatMap(parse(json), toMessage)
      return Option.isSome(message) ? Effect.succeed([message.value]) : skip(line)
    }),
    Stream.flattenIterable
  )
}
