/**
 * The result of a run: the agent's last message, decoded where it is JSON.
 *
 * The chunks of a message have its id, which not every agent gives (Gemini and Qwen do not). Without ids, a message is all
 * text since a tool call began or ended, since an agent may think between its chunks. If the last message is not JSON, but
 * the last pieces of the text since the last tool call began are a JSON object or array, they are the result: an agent may
 * comment before its answer, split it over messages, and have a tool end meanwhile.
 */
import { Option, type Schema } from "effect"
import * as CallIdentity from "../../wire/CallIdentity.ts"
import type { ToolCall, TurnEvent } from "../../wire/TurnEvent.ts"

/** Text that the agent wrote in one go. */
interface Piece {
  readonly messageId: string | undefined
  /** Whether a message begins with it, if it has no id. */
  readonly isFirst: boolean
  text: string
}

/** What an agent has said since its last tool call began. */
export interface Transcript {
  readonly add: (event: TurnEvent) => void
  /** The number of characters that it holds. */
  readonly length: () => number
  /** The text of the result. */
  readonly finalText: () => string
}

const isBlank = (text: string): boolean => text.trim() === ""

const joined = (pieces: ReadonlyArray<Piece>): string => pieces.map(({ text }) => text).join("")

/** The last message that is not blank. */
const lastMessage = (pieces: ReadonlyArray<Piece>): string => {
  const last = pieces.findLastIndex(({ text }) => !isBlank(text))
  if (last === -1) return ""
  const id = pieces[last]?.messageId
  const others = pieces.findLastIndex(({ messageId }, at) => at < last && messageId !== id)
  const first = id === undefined ? pieces.findLastIndex(({ isFirst }, at) => at <= last && isFirst) : 0
  return joined(pieces.slice(Math.max(others + 1, first), last + 1))
}

/** The most pieces that a JSON answer is looked for in. */
const maxPieces = 32

/** The longest run of pieces up to the end that is a JSON object or array. */
const structuredEnd = (pieces: ReadonlyArray<Piece>): string | undefined => {
  const recent = pieces.slice(-maxPieces)
  const ends = recent.flatMap(({ text }, at) => (/^\s*(?:[{[]|```)/.test(text) ? [joined(recent.slice(at))] : []))
  return ends.find(isStructured)
}

const isStructured = (text: string): boolean => {
  const result = fromText(text)
  return typeof result === "object" && result !== null
}

export const make = (): Transcript => {
  let pieces: Array<Piece> = []
  /** The last text before the last tool call, for an agent that says nothing after it. */
  let previous = ""
  let length = 0
  /** What came since the last text. */
  let between: "nothing" | "other output" | "the end of a call" = "nothing"
  /** The calls so far, and whether each has ended. */
  const calls = new Map<object | string, boolean>()

  const addText = (text: string, messageId: string | undefined) => {
    const last = pieces.at(-1)
    length += text.length
    if (last !== undefined && last.messageId === messageId && between === "nothing") last.text += text
    else pieces.push({ messageId, isFirst: between === "the end of a call", text })
    between = "nothing"
  }

  const finalText = () => {
    const said = lastMessage(pieces)
    if (said === "") return previous
    return isStructured(said) ? said : (structuredEnd(pieces) ?? said)
  }

  /** Agents comment on their work before a tool call: what they say after it counts. */
  const addCall = (event: ToolCall) => {
    const call = CallIdentity.of(event) ?? event.id
    const isNew = call === undefined || !calls.has(call)
    const isEnded = CallIdentity.isEnded(event.status)
    if (isEnded && (call === undefined || calls.get(call) !== true)) between = "the end of a call"
    if (call !== undefined) calls.set(call, isEnded)
    if (!isNew) return
    previous = finalText()
    pieces = []
    length = previous.length
  }

  return {
    add: (event) => {
      if (event._tag === "Text") return addText(event.content, event.messageId)
      if (event._tag === "ToolCall") return addCall(event)
      const isOutput = event._tag === "Thinking" || event._tag === "Content"
      if (isOutput && between === "nothing") between = "other output"
    },
    length: () => length,
    finalText
  }
}

const fenced = /^(?<fence>`{3,})[^`\n]*\n(?<inside>[^]*?)\n?\k<fence>$/

/** The text without the code fence that surrounds all of it, if there is one. */
const withoutFence = (text: string): string => {
  const { fence = "", inside } = fenced.exec(text.trim())?.groups ?? {}
  return inside === undefined || inside.split("\n").some((line) => line.startsWith(fence)) ? text : inside
}

/** JSON that is nested deeper stays text: not every client can read it. */
const maxDepth = 60

/** Whether it can be encoded again without loss: nested within the limit, and no number read as infinite. */
const isWithin = (value: Schema.Json, levels: number): boolean => {
  if (typeof value === "number") return Number.isFinite(value)
  if (typeof value !== "object" || value === null) return true
  return levels > 0 && Object.values(value).every((member) => isWithin(member, levels - 1))
}

const parse = Option.liftThrowable((text: string): Schema.Json => JSON.parse(text))

/** The result as the contract has it: without a code fence, and decoded where it is JSON. */
export const fromText = (text: string): Schema.Json => {
  const inside = withoutFence(text)
  return Option.getOrElse(
    Option.filter(parse(inside), (value) => isWithin(value, maxDepth)),
    () => inside
  )
}
