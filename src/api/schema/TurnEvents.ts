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
const encode = Schema.encodeSync(TurnEvent)

/**
 * A field that was added to an event of a known kind stays on it, under the name that it came with; where that is the
 * name of something else, the event is not one of its kind.
 */
const withAdded = (event: TurnEvent, added: Fields): Option.Option<TurnEvent> =>
  Object.keys(added).some((field) => field !== "_tag" && Object.hasOwn(event, field))
    ? Option.none()
    : Option.liftPredicate({ ...added, ...event }, isEvent)

const addedTo = (raw: Fields, event: TurnEvent): Fields => {
  const known = encode(event)
  return Object.fromEntries(Object.entries(raw).filter(([key]) => !Object.hasOwn(known, key)))
}

const decoders = new Map<unknown, (event: Fields) => Option.Option<TurnEvent>>(
  Object.entries(members).map(([type, schema]) => {
    const decodeKnown = Schema.decodeUnknownOption<typeof schema>(schema)
    return [
      type,
      (raw) =>
        Option.flatMap(decodeKnown(raw), (event) =>
          Object.keys(raw).length === Object.keys(event).length
            ? Option.some(event)
            : withAdded(event, addedTo(raw, event))
        )
    ]
  })
)

/** A message of the Agent Client Protocol, in either of its nestings. */
const decodeUpdate = (params: unknown, calls: AcpUpdate.ToolCalls): Option.Option<TurnEvent> => {
  const update = Predicate.isObject(params) && Predicate.isObject(params["update"]) ? params["update"] : params
  const event = AcpUpdate.toEvent(update, calls)
  if (event._tag === "Unknown" || !Predicate.isObject(update)) return Option.none()
  const told = event._tag === "ToolCall" && event.id !== undefined ? (calls.get(event.id) ?? update) : update
  const added = AcpUpdate.addedTo(told)
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

/** A plain chunk of text. Most of what a turn tells is that, and its schema costs ten times as much. */
const decodeChunk = (raw: Fields): TurnEvent | undefined => {
  const tag = chunkTags.get(raw["type"])
  const { content, message_id: messageId } = raw
  const keys = Object.keys(raw).length
  if (tag === undefined || typeof content !== "string") return undefined
  if (keys === 2) return { _tag: tag, content }
  return keys === 3 && typeof messageId === "string" ? { _tag: tag, content, messageId } : undefined
}

const decodeOne = (raw: unknown, calls: AcpUpdate.ToolCalls): TurnEvent => {
  if (!Predicate.isObject(raw)) return { _tag: "Unknown", raw }
  const chunk = decodeChunk(raw)
  if (chunk !== undefined) return chunk
  const event =
    raw["method"] === "session/update"
      ? decodeUpdate(raw["params"], calls)
      : (decoders.get(raw["type"])?.(lenient(raw)) ?? Option.none())
  return Option.getOrElse(event, () => ({ _tag: "Unknown", raw }))
}

/** A chunk to which nothing was added. */
const isPlain = (event: Chunk): boolean => Object.keys(event).length === (event.messageId === undefined ? 2 : 3)

/** Two chunks of one message as one, where they differ in nothing but what they say. */
const joined = (before: TurnEvent | undefined, event: TurnEvent): TurnEvent | undefined => {
  if (event._tag !== "Text" && event._tag !== "Thinking") return undefined
  if (before?._tag !== event._tag || before.messageId !== event.messageId) return undefined
  const together = { ...before, content: before.content + event.content }
  const isSame = (isPlain(before) && isPlain(event)) || Equal.equals(together, { ...event, content: together.content })
  return isSame ? together : undefined
}

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
