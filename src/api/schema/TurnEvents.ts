/**
 * The list of events that a turn's answer carries, in any of the three dialects in the field:
 *
 * 1. normalised: `{type: "text", content}`, `{type: "tool_call", …}`, …
 * 2. raw messages of the Agent Client Protocol: `{method: "session/update", params: {update: {sessionUpdate, …}}}`
 * 3. the same, flat: `{method: "session/update", params: {sessionUpdate, …}}`
 *
 * Reading never fails and loses nothing: what is not understood becomes `Unknown` with all that was in it.
 */
import { Equal, Option, Predicate, Schema } from "effect"
import * as AcpUpdate from "./AcpUpdate.ts"
import { members, TurnEvent } from "./TurnEvent.ts"

type Fields = Readonly<Record<string, unknown>>
type Chunk = Extract<TurnEvent, { readonly _tag: "Text" | "Thinking" }>

const isEvent = Schema.is(TurnEvent)

/**
 * A field that was added to an event of a known kind stays on it, under the name that it came with; where that is the
 * name of something else, the event is not one of its kind.
 */
const withAdded = (event: TurnEvent, added: Fields): Option.Option<TurnEvent> =>
  Object.keys(added).some((field) => Object.hasOwn(event, field))
    ? Option.none()
    : Option.liftPredicate({ ...added, ...event }, isEvent)

const rename = (event: Fields, [from, to]: readonly [string, string]): Fields => {
  if (!Object.hasOwn(event, from)) return event
  const { [from]: value, ...rest } = event
  return { ...rest, [to]: value }
}

/** Gives the fields of one kind of event our names, and checks its shape. Decoding it would cost three times as much. */
const reader = (type: string, schema: (typeof members)[keyof typeof members]) => {
  const isOfKind: (event: unknown) => event is TurnEvent = Schema.is(schema)
  const _tag = Schema.decodeUnknownSync<Schema.Codec<string>>(schema.to.fields._tag)(type)
  const ours = Object.keys(schema.to.fields)
  const renamed = Object.keys(schema.from.fields)
    .map((name, at) => [name, ours[at] ?? name] as const)
    .filter(([from, to]) => from !== to)
  return (raw: Fields): Option.Option<TurnEvent> => {
    const event = { ...renamed.reduce(rename, raw), _tag }
    // Where two fields end up with the same name, one of them is lost.
    const isWhole = Object.keys(event).length === Object.keys(raw).length
    return isWhole && isOfKind(event) ? Option.some(event) : Option.none()
  }
}

const readers = new Map<unknown, (event: Fields) => Option.Option<TurnEvent>>(
  Object.entries(members).map(([type, schema]) => [type, reader(type, schema)])
)

/** A tool call whose event is made at the end, of all that was told of it. */
interface Told {
  readonly _tag: "Told"
  readonly id: string
  readonly call: AcpUpdate.OpenCall
}

/** Our own names for fields that the protocol calls something else: with one of these it is no update of a tool call. */
const ourNames = ["_tag", "id", "args", "result", "blocks"]

const decodeCall = (update: Fields, calls: AcpUpdate.ToolCalls): Option.Option<Told> =>
  ourNames.some((field) => update[field] !== undefined && update[field] !== null)
    ? Option.none()
    : Option.map(AcpUpdate.describe(update, calls), (call) => ({
        _tag: "Told",
        id: String(call.get("toolCallId")),
        call
      }))

/** A message of the Agent Client Protocol, in either of its nestings. */
const decodeUpdate = (params: unknown, calls: AcpUpdate.ToolCalls): Option.Option<TurnEvent | Told> => {
  const update = Predicate.isObject(params) && Predicate.isObject(params["update"]) ? params["update"] : params
  if (!Predicate.isObject(update)) return Option.none()
  if (AcpUpdate.isOfCall(update)) return decodeCall(update, calls)
  const event = AcpUpdate.toEvent(update, calls)
  if (event._tag === "Unknown") return Option.none()
  const added = AcpUpdate.addedTo(update)
  return Object.keys(added).length === 0 ? Option.some(event) : withAdded(event, added)
}

/** Servers other than ours leave out the text of a chunk, or send a tool's input as they got it. */
const lenient = (event: Fields): Fields => {
  switch (event["type"]) {
    case "text":
    case "thinking":
      return event["content"] === undefined || event["content"] === null ? { ...event, content: "" } : event
    case "tool_call": {
      const { args, ...rest } = event
      if (args === undefined || Predicate.isObject(args)) return event
      if (args === null) return rest
      return rest["raw_input"] === undefined ? { ...rest, raw_input: args } : event
    }
    default:
      return event
  }
}

const chunkTags = new Map<unknown, "Text" | "Thinking">([
  ["text", "Text"],
  ["thinking", "Thinking"]
])

/** A chunk of text, read by hand: most events of a turn are one, and the schema would cost ten times as much. */
const decodeChunk = (raw: Fields): TurnEvent | undefined => {
  const { type, content, message_id: messageId, ...added } = raw
  const tag = chunkTags.get(type)
  if (tag === undefined || typeof content !== "string") return undefined
  if (Object.hasOwn(added, "_tag") || Object.hasOwn(added, "messageId")) return undefined
  if (!Object.hasOwn(raw, "message_id")) return { ...added, _tag: tag, content }
  return typeof messageId === "string" ? { ...added, _tag: tag, content, messageId } : undefined
}

const decodeOne = (raw: unknown, calls: AcpUpdate.ToolCalls): TurnEvent | Told => {
  if (!Predicate.isObject(raw)) return { _tag: "Unknown", raw }
  const unknown = (): TurnEvent => ({ _tag: "Unknown", raw })
  if (raw["method"] === "session/update") return Option.getOrElse(decodeUpdate(raw["params"], calls), unknown)
  return decodeChunk(raw) ?? Option.getOrElse(readers.get(raw["type"])?.(lenient(raw)) ?? Option.none(), unknown)
}

/** Adjacent chunks of one message, whose pieces are put together at the end. */
interface Run {
  readonly _tag: "Run"
  readonly first: Chunk
  readonly pieces: Array<string>
}

/** Whether two chunks differ in nothing but what they say. */
const isAlike = (a: Chunk, b: Chunk): boolean => {
  if (a._tag !== b._tag || a.messageId !== b.messageId) return false
  const fields = Object.entries(a)
  return (
    fields.length === Object.keys(b).length &&
    fields.every(
      ([field, value]) => field === "content" || (Object.hasOwn(b, field) && Equal.equals(value, Reflect.get(b, field)))
    )
  )
}

const ended = (event: TurnEvent | Told | Run): TurnEvent => {
  switch (event._tag) {
    case "Told":
      return AcpUpdate.fromCall(event.call)
    case "Run":
      return event.pieces.length === 1 ? event.first : { ...event.first, content: event.pieces.join("") }
    default:
      return event
  }
}

const mergeTold = (events: Iterable<TurnEvent | Told>): ReadonlyArray<TurnEvent> => {
  const merged: Array<TurnEvent | Told | Run> = []
  const places = new Map<string, number>()
  for (const event of events) {
    if (event._tag === "Text" || event._tag === "Thinking") {
      const last = merged.at(-1)
      if (last?._tag === "Run" && isAlike(last.first, event)) last.pieces.push(event.content)
      else merged.push({ _tag: "Run", first: event, pieces: [event.content] })
      continue
    }
    const id = event._tag === "ToolCall" || event._tag === "Told" ? event.id : undefined
    const place = id === undefined ? undefined : places.get(id)
    if (place !== undefined) {
      merged[place] = event
      continue
    }
    if (id !== undefined) places.set(id, merged.length)
    merged.push(event)
  }
  return merged.map(ended)
}

/**
 * Adjacent chunks of one message become one event, and all that was told of one tool call becomes one event in the
 * place of the first.
 */
export const merge = (events: Iterable<TurnEvent>): ReadonlyArray<TurnEvent> => mergeTold(events)

/** Reads the events of an answer. */
export const decode = (events: ReadonlyArray<unknown>): ReadonlyArray<TurnEvent> => {
  const calls: AcpUpdate.ToolCalls = new Map()
  return mergeTold(events.map((event) => decodeOne(event, calls)))
}
