/**
 * The list of events that a turn's answer carries, in any of the three dialects in the field:
 *
 * 1. normalised: `{type: "text", content}`, `{type: "tool_call", …}`, …
 * 2. raw messages of the Agent Client Protocol: `{method: "session/update", params: {update: {sessionUpdate, …}}}`
 * 3. the same, flat: `{method: "session/update", params: {sessionUpdate, …}}`
 *
 * Reading never fails and loses nothing: what is not understood becomes `Unknown` with all that was in it.
 */
import { Option, Schema } from "effect"
import * as AcpUpdate from "./AcpUpdate.ts"
import { members, TurnEvent } from "./TurnEvent.ts"

/** A JSON object: told without a schema, which would look at each of its fields. */
const isFields = (value: unknown): value is Readonly<Record<string, unknown>> =>
  typeof value === "object" && value !== null && !Array.isArray(value)

/** A field that a server added to an event of a known kind stays on it, under the name that it came with. */
const keepAdded = (raw: Readonly<Record<string, unknown>>, event: TurnEvent): TurnEvent => {
  if (Object.keys(raw).length === Object.keys(event).length) return event
  const known = encode(event)
  return { ...Object.fromEntries(Object.entries(raw).filter(([key]) => !Object.hasOwn(known, key))), ...event }
}

const encode = Schema.encodeSync(TurnEvent)

const decoders = new Map<unknown, (event: Readonly<Record<string, unknown>>) => Option.Option<TurnEvent>>(
  Object.entries(members).map(([type, schema]) => {
    const decodeKnown = Schema.decodeUnknownOption<typeof schema>(schema)
    return [type, (raw) => Option.map(decodeKnown(raw), (event) => keepAdded(raw, event))]
  })
)

const nested = (params: unknown): unknown =>
  isFields(params) && isFields(params["update"]) ? params["update"] : params

/** Servers other than ours leave out the text of a chunk, or send a tool's input as they got it. */
const lenient = (event: Readonly<Record<string, unknown>>): Readonly<Record<string, unknown>> => {
  switch (event["type"]) {
    case "text":
    case "thinking":
      return event["content"] === undefined || event["content"] === null ? { ...event, content: "" } : event
    case "tool_call": {
      const { args, ...rest } = event
      return args === undefined || isFields(args) ? event : { ...rest, ...(args === null ? {} : { raw_input: args }) }
    }
    default:
      return event
  }
}

const chunkTags = new Map<unknown, "Text" | "Thinking">([
  ["text", "Text"],
  ["thinking", "Thinking"]
])

/** A plain chunk of text. Most of what a turn tells is that, and its schema costs ten times as much. */
const decodeChunk = (raw: Readonly<Record<string, unknown>>): TurnEvent | undefined => {
  const tag = chunkTags.get(raw["type"])
  const { content, message_id: messageId } = raw
  const keys = Object.keys(raw).length
  if (tag === undefined || typeof content !== "string") return undefined
  if (keys === 2) return { _tag: tag, content }
  return keys === 3 && typeof messageId === "string" ? { _tag: tag, content, messageId } : undefined
}

const decodeOne = (raw: unknown, calls: AcpUpdate.ToolCalls): TurnEvent => {
  if (!isFields(raw)) return { _tag: "Unknown", raw }
  const chunk = decodeChunk(raw)
  if (chunk !== undefined) return chunk
  if (raw["method"] === "session/update") {
    const event = AcpUpdate.toEvent(nested(raw["params"]), calls)
    return event._tag === "Unknown" ? { _tag: "Unknown", raw } : event
  }
  const decode = decoders.get(raw["type"])
  return Option.getOrElse(decode?.(lenient(raw)) ?? Option.none<TurnEvent>(), () => ({ _tag: "Unknown", raw }))
}

/** Two chunks of one message as one, where they are. */
const joined = (before: TurnEvent | undefined, event: TurnEvent): TurnEvent | undefined =>
  (event._tag === "Text" || event._tag === "Thinking") &&
  before?._tag === event._tag &&
  before.messageId === event.messageId
    ? { ...before, content: before.content + event.content }
    : undefined

/**
 * Adjacent chunks of one message become one event, and all that was told of one tool call becomes one event in the
 * place of the first.
 */
export const merge = (events: Iterable<TurnEvent>): ReadonlyArray<TurnEvent> => {
  const merged: Array<TurnEvent> = []
  const places = new Map<string, number>()
  for (const event of events) {
    const place = event._tag === "ToolCall" && event.id !== undefined ? places.get(event.id) : undefined
    if (place !== undefined) {
      merged[place] = event
      continue
    }
    const chunk = joined(merged.at(-1), event)
    if (chunk !== undefined) {
      merged[merged.length - 1] = chunk
      continue
    }
    if (event._tag === "ToolCall" && event.id !== undefined) places.set(event.id, merged.length)
    merged.push(event)
  }
  return merged
}

/** Reads the events of an answer. */
export const decode = (events: ReadonlyArray<unknown>): ReadonlyArray<TurnEvent> => {
  const calls: AcpUpdate.ToolCalls = new Map()
  return merge(events.map((event) => decodeOne(event, calls)))
}
