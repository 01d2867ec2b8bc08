/**
 * A turn as a person reads it.
 */
import { type Turn, TurnEvent } from "../index.ts"
import { type Screen, spanText } from "./Screen.ts"

type Paint = Screen["Service"]["paint"]

/** Control characters of an agent's text would write on the terminal by themselves. */
const plain = (text: string): string => text.replace(/[\u0000-\u0008\u000b-\u001f\u007f-\u009f]/g, "")

const short = (value: unknown): string => {
  const text = typeof value === "string" ? value : (JSON.stringify(value) ?? "")
  return text.length <= 60 ? text : `${text.slice(0, 59)}…`
}

/** Text on one line. */
export const flat = (text: string): string => plain(text).replaceAll(/\s+/g, " ")

/** The last lines of what an agent wrote beside the protocol. */
export const lastLines = (text: string): ReadonlyArray<string> =>
  text
    .split("\n")
    .map((line) => flat(line).trim().slice(0, 200))
    .filter((line) => line !== "")
    .slice(-3)

const indent = (text: string): ReadonlyArray<string> =>
  plain(text)
    .trimEnd()
    .split("\n")
    .map((line) => `  ${line}`)

const toolLine = (call: Extract<TurnEvent.TurnEvent, { readonly _tag: "ToolCall" }>): string => {
  const input = call.args === undefined || Object.keys(call.args).length === 0 ? "" : ` ${short(call.args)}`
  const result = call.result === undefined ? "" : ` → ${short(call.result)}`
  return flat(`▸ ${call.title ?? call.name}${input}${result}`)
}

/** The lines of one event; those that say nothing to a reader have none. */
const eventLines = (event: TurnEvent.TurnEvent, paint: Paint): ReadonlyArray<string> => {
  switch (event._tag) {
    case "Text":
      return indent(event.content)
    case "Thinking":
      return indent(event.content).map((line) => paint("dim", line))
    case "ToolCall":
      return [paint("yellow", `  ${toolLine(event)}`)]
    case "Plan":
      return event.entries.map(({ content, status }) =>
        paint("blue", `  ${status === "completed" ? "☑" : "☐"} ${flat(content)}`)
      )
    default:
      return []
  }
}

/** The lines of a turn; of a plan that the agent kept changing, the last form. */
export const lines = (turn: Turn.Turn, paint: Paint): ReadonlyArray<string> => {
  const lastPlan = turn.events.findLast(TurnEvent.is("Plan"))
  const shown = turn.events.filter((event) => event._tag !== "Plan" || event === lastPlan)
  return [...shown.flatMap((event) => eventLines(event, paint)), footer(turn, paint)]
}

const usageText = ({ usage }: Turn.Turn): string => {
  const total = usage?.totalTokens ?? (usage?.inputTokens ?? 0) + (usage?.outputTokens ?? 0)
  return total === 0 ? "" : ` · ${total} tokens`
}

const footer = (turn: Turn.Turn, paint: Paint): string =>
  paint(
    "dim",
    `  turn ${turn.index} · ${flat(turn.stopReason ?? "ended")} · ${spanText(turn.duration)}${usageText(turn)}`
  )
