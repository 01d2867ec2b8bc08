/**
 * The result of a run: what the agent said last, as JSON where it is JSON.
 */
import { Option, type Schema } from "effect"
import type { TurnEvent } from "../../wire/TurnEvent.ts"

/** What an agent has said so far: since its last tool call, and before that. */
export interface Said {
  readonly now: string
  readonly before: string
}

export const nothing: Said = { now: "", before: "" }

const isBlank = (text: string): boolean => text.trim() === ""

/** An agent talks while it works; a tool call ends what it said before. */
export const hear = (said: Said, event: TurnEvent): Said => {
  if (event._tag === "Text") return { ...said, now: said.now + event.content }
  return event._tag === "ToolCall" && !isBlank(said.now) ? { now: "", before: said.now } : said
}

/** The last that it said. */
export const finalText = ({ before, now }: Said): string => (isBlank(now) ? before : now)

const fenced = /^(?<fence>`{3,})[^`\n]*\n(?<inside>[^]*?)\n?\k<fence>$/

/** The text inside of a code fence, where one surrounds the whole of it. */
const withoutFence = (text: string): string => {
  const { fence = "", inside } = fenced.exec(text.trim())?.groups ?? {}
  return inside === undefined || inside.split("\n").some((line) => line.startsWith(fence)) ? text : inside
}

/** Deeper than this, not every client can read it. */
const maxDepth = 60

/** Whether JSON can hold it as it is: no number became infinite as it was read. */
const isWithin = (value: Schema.Json, levels: number): boolean => {
  if (typeof value === "number") return Number.isFinite(value)
  if (typeof value !== "object" || value === null) return true
  return levels > 0 && Object.values(value).every((member) => isWithin(member, levels - 1))
}

const parse = Option.liftThrowable((text: string): Schema.Json => JSON.parse(text))

/** A text as the contract gives it: without its code fence, and decoded where it is JSON. */
export const fromText = (text: string): Schema.Json => {
  const inside = withoutFence(text)
  return Option.getOrElse(
    Option.filter(parse(inside), (value) => isWithin(value, maxDepth)),
    () => inside
  )
}
