/**
 * Reads one event of a turn, in any of the three dialects that servers send:
 *
 * 1. normalised: `{type: "text", content}`, `{type: "tool_call", …}`, …
 * 2. raw messages of the Agent Client Protocol: `{method: "session/update", params: {update: {sessionUpdate, …}}}`
 * 3. the same, flat: `{method: "session/update", params: {sessionUpdate, …}}`
 *
 * Reading never fails and loses nothing: what is not understood becomes `Unknown` with all that was in it. A field that
 * was added to a message stays on its event. Text is always read as text, whatever came with it.
 */
import { Option, Predicate, Schema, SchemaAST } from "effect"
import * as AcpUpdate from "./AcpUpdate.ts"
import * as CallIdentity from "./CallIdentity.ts"
import { fieldNames, type Kind, kinds } from "./EventKinds.ts"
import type { Text, Thinking, ToolCall, TurnEvent } from "./TurnEvent.ts"

type Chunk = Text | Thinking
type Fields = Readonly<Record<string, unknown>>

/** The names that the fields of each kind have, on the wire or in memory: an event is stored under the former. */
const takenNames = new Map<string, ReadonlySet<string>>(
  Object.values(kinds).map((kind) => [kind.to.fields._tag.to.literal, new Set(fieldNames(kind).flat())])
)

/**
 * What a server added to an event, under the names that it came with. Where one of these is taken, the whole message is
 * kept as well, as `raw`.
 */
const extraFields = (raw: unknown, isTaken: (name: string) => boolean, ...sources: ReadonlyArray<Fields>): Fields => {
  const added = sources.flatMap((source) => Object.entries(source)).filter(([, value]) => value !== null)
  if (added.length === 0) return {}
  const kept = Object.fromEntries(added.filter(([name]) => !isTaken(name)))
  return Object.keys(kept).length === added.length ? kept : { ...kept, raw }
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

/** Renames the fields of one kind of event to ours, and checks its shape. Decoding it would cost three times as much. */
const reader = (kind: Kind) => {
  const isOfKind: (event: unknown) => event is TurnEvent = Schema.is(kind)
  const _tag = kind.to.fields._tag.to.literal
  // Many servers write null for a field that they leave out.
  const optional = new Set(
    Object.entries(kind.from.fields).flatMap(([name, field]) =>
      SchemaAST.isOptional(field.ast) && !Schema.is<Schema.Constraint>(field)(null) ? [name] : []
    )
  )
  const renamed = fieldNames(kind).filter(([from, to]) => from !== to)
  return (sent: Fields): Option.Option<TurnEvent> => {
    const raw = withoutNulls(sent, (name) => optional.has(name))
    const event = { ...renamed.reduce(rename, raw), _tag }
    // Where two fields end up with the same name, one of them is lost.
    const isWhole = Object.keys(event).length === Object.keys(raw).length
    return isWhole && isOfKind(event) ? Option.some(event) : Option.none()
  }
}

const readers = new Map<unknown, (event: Fields) => Option.Option<TurnEvent>>(
  Object.entries(kinds).map(([type, kind]) => [type, reader(kind)])
)

/**
 * What is known of one tool call: what each dialect reported of it, the latest last. All updates of the protocol are one
 * part, and so are normalised events that follow each other.
 */
export interface CallState {
  readonly _tag: "CallState"
  readonly id: string
  readonly parts: Set<AcpUpdate.OpenCall | ToolCall>
  latest: AcpUpdate.OpenCall | ToolCall
}

/** Whether a part that has the id of this call is of another one. */
const isAnother = ({ latest, parts }: CallState, part: AcpUpdate.OpenCall | ToolCall): boolean => {
  if (part instanceof Map) return !parts.has(part) && Array.from(parts).some((known) => known instanceof Map)
  return CallIdentity.isAnother(latest instanceof Map ? Object.fromEntries(latest) : latest, part)
}

const update = (calls: Map<string, CallState>, id: string, part: AcpUpdate.OpenCall | ToolCall): CallState => {
  const call = calls.get(id)
  if (call === undefined || isAnother(call, part)) {
    const opened: CallState = { _tag: "CallState", id, parts: new Set([part]), latest: part }
    calls.set(id, opened)
    return opened
  }
  if (part instanceof Map || call.latest instanceof Map) {
    call.parts.delete(part)
    call.parts.add(part)
    call.latest = part
  } else {
    // One object takes them all: a copy for each update would take the square of their number.
    Object.assign(call.latest, part)
  }
  return call
}

/** The event of a tool call as it stands. */
export const snapshot = (call: CallState): TurnEvent => {
  const parts = Array.from(call.parts, (part) => (part instanceof Map ? AcpUpdate.fromCall(part) : { ...part }))
  return CallIdentity.assign(
    parts.reduce((event, later) => Object.assign(event, later)),
    call
  )
}

/** Our names for fields that the protocol calls something else. An object with one of these is not an update of a tool call. */
const ourNames = ["_tag", "id", "args", "result", "blocks"]
const namesOfCall = new Set([...AcpUpdate.fieldsOfCall, ...ourNames, ...AcpUpdate.wireNamesOfCall])

/** The tool calls of one turn so far, by id. */
interface State {
  readonly open: AcpUpdate.ToolCalls
  readonly calls: Map<string, CallState>
}

/** An update of a tool call, with the fields of its envelope. */
const decodeCall = (
  raw: Fields,
  sent: Fields,
  around: ReadonlyArray<Fields>,
  state: State
): Option.Option<CallState> => {
  if (ourNames.some((field) => sent[field] !== undefined && sent[field] !== null)) return Option.none()
  const more = extraFields(raw, (name) => namesOfCall.has(name) || Object.hasOwn(sent, name), ...around)
  return Option.map(AcpUpdate.apply({ ...sent, ...more }, state.open), (call) =>
    update(state.calls, String(call.get("toolCallId")), call)
  )
}

/** A message of the Agent Client Protocol, in either of its nestings. */
const decodeUpdate = (raw: Fields, state: State): Option.Option<TurnEvent | CallState> => {
  const { jsonrpc: _version, method: _method, params, ...envelope } = raw
  if (!Predicate.isObject(params)) return Option.none()
  // The agent's own id of the session is the same in every message.
  const { sessionId: _session, update: nested, ...others } = params
  const isNested = Predicate.isObject(nested) && Object.hasOwn(nested, "sessionUpdate")
  const sent: Fields = isNested ? nested : params
  const around = isNested ? [envelope, others] : [envelope]
  if (AcpUpdate.isOfCall(sent)) return decodeCall(raw, sent, around, state)
  const event = AcpUpdate.toEvent(sent, state.open)
  if (event._tag === "Unknown") return Option.none()
  const isTaken = (name: string) => takenNames.get(event._tag)?.has(name) === true
  return Option.some({ ...extraFields(raw, isTaken, ...around, ...AcpUpdate.addedTo(sent)), ...event })
}

/** Servers other than ours write null where a tool call has no input or result, or send the input as they got it. */
const lenient = (event: Fields): Fields => {
  if (event["type"] !== "tool_call") return event
  const present = withoutNulls(event, () => true)
  const { args, ...rest } = present
  if (args === undefined || Predicate.isObject(args) || present["raw_input"] !== undefined) return present
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
  const { type, content: sent, message_id: messageId, ...added } = raw
  const tag = chunkTags.get(type)
  const content = sent ?? ""
  if (tag === undefined || typeof content !== "string") return undefined
  const hasId = typeof messageId === "string"
  const isOddId = !hasId && messageId !== undefined && messageId !== null
  const isClash = isOddId || Object.hasOwn(added, "_tag") || Object.hasOwn(added, "messageId")
  const { messageId: _clash, ...kept } = isClash ? { ...added, raw } : added
  return hasId ? { ...kept, _tag: tag, content, messageId } : { ...kept, _tag: tag, content }
}

/** The event inside is of another turn, which may have tool calls with the same ids. */
const decodeLate = (raw: Fields): TurnEvent | undefined => {
  const { event, turn_index: turnIndex, type, ...added } = raw
  if (type !== "late" || typeof turnIndex !== "number" || !Number.isSafeInteger(turnIndex)) return undefined
  if (!Predicate.isObject(event) || Object.hasOwn(added, "_tag") || Object.hasOwn(added, "turnIndex")) return undefined
  return { ...added, _tag: "Late", turnIndex, event: make()(event) }
}

const decodeOne = (raw: unknown, state: State): TurnEvent | CallState => {
  if (!Predicate.isObject(raw)) return { _tag: "Unknown", raw }
  const unknown = (): TurnEvent => ({ _tag: "Unknown", raw })
  if (raw["method"] === "session/update") return Option.getOrElse(decodeUpdate(raw, state), unknown)
  const chunk = decodeChunk(raw)
  if (chunk !== undefined) return chunk
  const late = decodeLate(raw)
  if (late !== undefined) return late
  const event = Option.getOrElse(readers.get(raw["type"])?.(lenient(raw)) ?? Option.none(), unknown)
  return event._tag === "ToolCall" && event.id !== undefined ? update(state.calls, event.id, event) : event
}

/**
 * A decoder of one turn that gives the state of a tool call in place of its event. `snapshot` makes the event, so a
 * caller that needs only the last one pays for one.
 */
export const makeLazy = (): ((raw: unknown) => TurnEvent | CallState) => {
  const state: State = { open: new Map(), calls: new Map() }
  return (raw) => decodeOne(raw, state)
}

/**
 * A decoder of the events of one turn, one at a time, as a stream has them. It keeps the turn's tool calls, so that each
 * `ToolCall` event shows its call as it stands.
 */
export const make = (): ((raw: unknown) => TurnEvent) => {
  const decode = makeLazy()
  return (raw) => {
    const event = decode(raw)
    return event._tag === "CallState" ? snapshot(event) : event
  }
}
