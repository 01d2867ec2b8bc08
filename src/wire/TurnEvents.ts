/**
 * The events of a whole turn: merged, and decoded from the answer that carries them.
 */
import { Equal } from "effect"
import * as CallIdentity from "./CallIdentity.ts"
import * as EventDecoder from "./EventDecoder.ts"
import type { Text, Thinking, ToolCall, TurnEvent } from "./TurnEvent.ts"
import * as WellFormed from "./WellFormed.ts"

type Chunk = Text | Thinking

/** Adjacent chunks of one message, whose pieces are joined at the end. */
interface ChunkRun {
  readonly _tag: "ChunkRun"
  readonly first: Chunk
  readonly pieces: Array<string>
}

/** Whether two chunks differ in nothing but their text. */
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

const toEvent = (event: TurnEvent | EventDecoder.CallState | ChunkRun): TurnEvent => {
  switch (event._tag) {
    case "CallState":
      return EventDecoder.snapshot(event)
    case "ChunkRun":
      return event.pieces.length === 1 ? event.first : { ...event.first, content: event.pieces.join("") }
    default:
      return event
  }
}

const isChunk = (event: TurnEvent | EventDecoder.CallState): event is Chunk =>
  event._tag === "Text" || event._tag === "Thinking"

/** The events, each character of their texts in one of them. */
function* withWholeCharacters(events: Iterable<TurnEvent | EventDecoder.CallState>) {
  const joiner = WellFormed.chunkJoiner()
  for (const event of events) {
    if (isChunk(event)) yield* joiner.add(event)
    else yield event
  }
  yield* joiner.end()
}

/** What an event of a tool call has in common with the others of its call: its id, where the call itself is not known. */
const keyOf = (event: ToolCall | EventDecoder.CallState): object | string | undefined =>
  event._tag === "CallState" ? event : (CallIdentity.of(event) ?? event.id)

const mergeAll = (events: Iterable<TurnEvent | EventDecoder.CallState>): ReadonlyArray<TurnEvent> => {
  const merged: Array<TurnEvent | EventDecoder.CallState | ChunkRun> = []
  const positions = new Map<object | string, number>()
  for (const event of withWholeCharacters(events)) {
    if (isChunk(event)) {
      const last = merged.at(-1)
      if (last?._tag === "ChunkRun" && isAlike(last.first, event)) last.pieces.push(event.content)
      else merged.push({ _tag: "ChunkRun", first: event, pieces: [event.content] })
      continue
    }
    const key = event._tag === "ToolCall" || event._tag === "CallState" ? keyOf(event) : undefined
    const position = key === undefined ? undefined : positions.get(key)
    const before = position === undefined ? undefined : merged[position]
    const isAnother = before?._tag === "ToolCall" && event._tag === "ToolCall" && CallIdentity.isAnother(before, event)
    if (position !== undefined && !(typeof key === "string" && isAnother)) {
      merged[position] = event
      continue
    }
    if (key !== undefined) positions.set(key, merged.length)
    merged.push(event)
  }
  return merged.map(toEvent)
}

/**
 * Adjacent chunks of one message become one event, and the last event of each tool call takes the position of the first.
 * An id that is used again after its call has ended is another call.
 */
export const merge = (events: Iterable<TurnEvent>): ReadonlyArray<TurnEvent> => mergeAll(events)

/**
 * Reads the events of an answer. It is `merge` of what `EventDecoder.make` gives for each, at a cost that grows with
 * their number only.
 */
export const decode = (events: ReadonlyArray<unknown>): ReadonlyArray<TurnEvent> =>
  mergeAll(events.map(EventDecoder.makeLazy()))
