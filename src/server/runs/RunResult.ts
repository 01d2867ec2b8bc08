/**
 * The result of a run: the agent's last text, decoded where it is JSON.
 */
import { Option, type Schema } from "effect"
import type { TurnEvent } from "../../wire/TurnEvent.ts"

/** What an agent has said so far. */
export interface Transcript {
  /** Since its last tool call. */
  readonly current: string
  /** The last text before that. */
  readonly previous: string
}

export const empty: Transcript = { current: "", previous: "" }

const isBlank = (text: string): boolean => text.trim() === ""

/** Adds an event. A tool call ends the text before it, since agents comment on their work. */
export const accumulate = (transcript: Transcript, event: TurnEvent): Transcript => {
  const { current } = transcript
  if (event._tag === "Text") return { ...transcript, current: current + event.content }
  return event._tag === "ToolCall" && !isBlank(current) ? { current: "", previous: current } : transcript
}

/** The last text that is not blank. */
export const finalText = ({ current, previous }: Transcript): string => (isBlank(current) ? previous : current)

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
