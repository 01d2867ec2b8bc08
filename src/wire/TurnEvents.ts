/**
 * The list of events that a turn's answer carries, in any of the three dialects in the field:
 *
 * 1. normalised: `{type: "text", content}`, `{type: "tool_call", …}`, …
 * 2. raw messages of the Agent Client Protocol: `{method: "session/update", params: {update: {sessionUpdate, …}}}`
 * 3. the same, flat: `{method: "session/update", params: {sessionUpdate, …}}`
 *
 * Reading never fails and loses nothing: what is not understood becomes `Unknown` with all that was in it. A field that
 * was added to a message stays on its event. Text is always read as text, whatever came with it.
 */
import { Equal, Option, Predicate, Schema, SchemaAST } from "effect"
import * as AcpUpdate from "./AcpUpdate.ts"
import { members, type TurnEvent } from "./TurnEvent.ts"

type Fields = Readonly<Record<string, unknown>>
type Chunk = Extract<TurnEvent, { readonly _tag: "Text" | "Thinking" }>

/** The names that the fields of each kind have in memory. */
const ownNames = new Map<string, ReadonlySet<string>>(
  Object.values(members).map(({ to }) => [to.fields._tag.to.literal, new Set(Object.keys(to.fields))])
)

/**
 * What else came with an event, under the names that it came with. Where one of these is taken, the whole message goes
 * along, as `raw`.
 */
const beside = (raw: unknown, isTaken: (name: string) => boolean, ...sources: ReadonlyArray<Fields>): Fields => {
  const told = sources.flatMap((source) => Object.entries(source)).filter(([, value]) => value !== null)
  if (told.length === 0) return {}
  const kept = Object.fromEntries(told.filter(([name]) => !isTaken(name)))
  return Object.keys(kept).length === told.length ? kept : { ...kept, raw }
}

const rename = (event: Fields, [from, to]: readonly [string, string]): Fields => {
  if (!Object.hasOwn(event, from)) return event
  const { [from]: value, ...rest } = event
  return { ...rest, [to]: value }
}

const withoutNulls = (fields: Fields, isAbsent: (name: string) => boolean): Fields =>
  Object.values(fields).includes(null)
    ? Object.fromEntries(Object.entries(fields).filter(([name, value]) => value !== null || !isAbsent(name)))
    : fields

/** Gives the fields of one kind of event our names, and checks its shape. Decoding it would cost three times as much. */
const reader = (type: string, schema: (typeof members)[keyof typeof members]) => {
  const isOfKind: (event: unknown) => event is TurnEvent = Schema.is(schema)
  const _tag = Schema.decodeUnknownSync<Schema.Codec<string>>(schema.to.fields._tag)(type)
  const ours = Object.keys(schema.to.fields)
  // Many servers write null for a field that they leave out.
  const optional = new Set(
    Object.entries(schema.from.fields).flatMap(([name, field]) =>
      SchemaAST.isOptional(field.ast) && !Schema.is<Schema.Constraint>(field)(null) ? [name] : []
    )
  )
  const renamed = Object.keys(schema.from.fields)
    .map((name, at) => [name, ours[at] ?? name] as const)
    .filter(([from, to]) => from !== to)
  return (sent: Fields): Option.Option<TurnEvent> => {
    const raw = withoutNulls(sent, (name) => optional.has(name))
    const event = { ...renamed.reduce(rename, raw), _tag }
    // Where two fields end up with the same name, one of them is lost.
    const isWhole = Object.keys(event).length === Object.keys(raw).length
    return isWhole && isOfKind(event) ? Option.some(event) : Option.none()
  }
}

const readers = new Map<unknown, (event: Fields) => Option.Option<TurnEvent>>(
  Object.entries(members).map(([type, schema]) => [type, reader(type, schema)])
)

/** A tool call as one dialect tells it: all updates of the protocol, or one normalised event. */
type Telling = AcpUpdate.OpenCall | TurnEvent

/** A tool call whose event is made at the end, of all that was told of it; what was told last comes last. */
interface Told {
  readonly _tag: "Told"
  readonly id: string
  readonly tellings: Set<Telling>
}

/** What is known of the tool calls of one answer, by id. */
interface Known {
  readonly calls: AcpUpdate.ToolCalls
  readonly told: Map<string, Told>
}

const tell = ({ told }: Known, id: string, telling: Telling): Told => {
  const call: Told = told.get(id) ?? { _tag: "Told", id, tellings: new Set() }
  told.set(id, call)
  call.tellings.delete(telling)
  call.tellings.add(telling)
  return call
}

/** Our own names for fields that the protocol calls something else: with one of these it is no update of a tool call. */
const ourNames = ["_tag", "id", "args", "result", "blocks"]
const namesOfCall = new Set([...AcpUpdate.fieldsOfCall, ...ourNames])

/** An update of a tool call; what stands around it in its message is told with it. */
const decodeCall = (raw: Fields, update: Fields, around: ReadonlyArray<Fields>, known: Known): Option.Option<Told> => {
  if (ourNames.some((field) => update[field] !== undefined && update[field] !== null)) return Option.none()
  const more = beside(raw, (name) => namesOfCall.has(name) || Object.hasOwn(update, name), ...around)
  return Option.map(AcpUpdate.describe({ ...update, ...more }, known.calls), (call) =>
    tell(known, String(call.get("toolCallId")), call)
  )
}

/** A message of the Agent Client Protocol, in either of its nestings. */
const decodeUpdate = (raw: Fields, known: Known): Option.Option<TurnEvent | Told> => {
  const { jsonrpc: _version, method: _method, params, ...envelope } = raw
  if (!Predicate.isObject(params)) return Option.none()
  // The agent's own id of the session is the same in every message.
  const { sessionId: _session, update: nested, ...others } = params
  const isNested = Predicate.isObject(nested) && Object.hasOwn(nested, "sessionUpdate")
  const update: Fields = isNested ? nested : params
  const around = isNested ? [envelope, others] : [envelope]
  if (AcpUpdate.isOfCall(update)) return decodeCall(raw, update, around, known)
  const event = AcpUpdate.toEvent(update, known.calls)
  if (event._tag === "Unknown") return Option.none()
  const isTaken = (name: string) => ownNames.get(event._tag)?.has(name) === true
  return Option.some({ ...beside(raw, isTaken, ...around, ...AcpUpdate.addedTo(update)), ...event })
}

/** Servers other than ours write null where a tool call has no input or result, or send the input as they got it. */
const lenient = (event: Fields): Fields => {
  if (event["type"] !== "tool_call") return event
  const told = withoutNulls(event, () => true)
  if (told["args"] === undefined || Predicate.isObject(told["args"]) || told["raw_input"] !== undefined) return told
  const { args, ...rest } = told
  return { ...rest, raw_input: args }
}

const chunkTags = new Map<unknown, "Text" | "Thinking">([
  ["text", "Text"],
  ["thinking", "Thinking"]
])

/**
 * A chunk of text, read by hand: most events of a turn are one, and the schema would cost ten times as much. Whatever
 * else it has, its text is read.
 */
const decodeChunk = (raw: Fields): Chunk | undefined => {
  const { type, content: said, message_id: messageId, ...added } = raw
  const tag = chunkTags.get(type)
  const content = said ?? ""
  if (tag === undefined || typeof content !== "string") return undefined
  const isClash = Object.hasOwn(added, "_tag") || Object.hasOwn(added, "messageId")
  const { messageId: _clash, ...kept } = isClash ? { ...added, raw } : added
  if (messageId === undefined || messageId === null) return { ...kept, _tag: tag, content }
  if (typeof messageId === "string") return { ...kept, _tag: tag, content, messageId }
  const more = { ...kept, message_id: messageId }
  return { ...more, _tag: tag, content }
}

const decodeOne = (raw: unknown, known: Known): TurnEvent | Told => {
  if (!Predicate.isObject(raw)) return { _tag: "Unknown", raw }
  const unknown = (): TurnEvent => ({ _tag: "Unknown", raw })
  if (raw["method"] === "session/update") return Option.getOrElse(decodeUpdate(raw, known), unknown)
  const chunk = decodeChunk(raw)
  if (chunk !== undefined) return chunk
  const event = Option.getOrElse(readers.get(raw["type"])?.(lenient(raw)) ?? Option.none(), unknown)
  return event._tag === "ToolCall" && event.id !== undefined ? tell(known, event.id, event) : event
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

const endedCall = ({ tellings }: Told): TurnEvent =>
  // One object takes it all: a copy for each telling would take the square of their number.
  Array.from(tellings, (telling) => (telling instanceof Map ? AcpUpdate.fromCall(telling) : { ...telling })).reduce(
    (told, later) => Object.assign(told, later)
  )

const ended = (event: TurnEvent | Told | Run): TurnEvent => {
  switch (event._tag) {
    case "Told":
      return endedCall(event)
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
  const known: Known = { calls: new Map(), told: new Map() }
  return mergeTold(events.map((event) => decodeOne(event, known)))
}
