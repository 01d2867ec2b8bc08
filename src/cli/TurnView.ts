/**
 * Formats a turn for a terminal.
 */
import { type Turn, TurnEvent } from "../index.ts"
import { type Screen, formatDuration } from "./Screen.ts"

type Paint = Screen["Service"]["paint"]

/** Removes control characters, with which an agent could control the terminal. */
const stripControls = (text: string): string => text.replace(/[\u0000-\u0008\u000b-\u001f\u007f-\u009f]/g, "")

const summarize = (value: unknown): string => {
  const text = typeof value === "string" ? value : (JSON.stringify(value) ?? "")
  return text.length <= 60 ? text : `${text.slice(0, 59)}…`
}

/** Puts text on one line. */
export const singleLine = (text: string): string => stripControls(text).replaceAll(/\s+/g, " ")

/** The last three lines of an agent's standard error, shortened. */
export const lastLines = (text: string): ReadonlyArray<string> =>
  text
    .split("\n")
    .map((line) => singleLine(line).trim().slice(0, 200))
    .filter((line) => line !== "")
    .slice(-3)

const indent = (text: string): ReadonlyArray<string> =>
  stripControls(text)
    .trimEnd()
    .split("\n")
    .map((line) => `  ${line}`)

const toolLine = (call: Extract<TurnEvent.TurnEvent, { readonly _tag: "ToolCall" }>): string => {
  const input = call.args === undefined || Object.keys(call.args).length === 0 ? "" : ` ${summarize(call.args)}`
  const result = call.result === undefined ? "" : ` → ${summarize(call.result)}`
  return singleLine(`▸ ${call.title ?? call.name}${input}${result}`)
}

/** The lines of one event; events without interest to a reader have none. */
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
        paint("blue", `  ${status === "completed" ? "☑" : "☐"} ${singleLine(content)}`)
      )
    case "Late":
      return eventLines(event.event, paint).map((line) => paint("dim", `${line} (late, of turn ${event.turnIndex})`))
    default:
      return []
  }
}

/** The lines of a turn. Of a plan that changed, only the last version is shown. */
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
    `  turn ${turn.index} · ${singleLine(turn.stopReason ?? "ended")} · ${formatDuration(turn.duration)}${usageText(turn)}`
  )
