/**
 * What happens in a turn, one event at a time.
 *
 * The union is open at its end: whatever a server or an agent sends that is not known here arrives as `Unknown`, whole.
 * A field that a server adds to a known event stays on it, under the name that it came with; where that name is taken,
 * the event also has the whole message, as `raw`.
 *
 * **Example** (Printing what an agent did)
 *
 * ```ts
 * import { TurnEvent } from "effect-clawdforge"
 *
 * const line = (event: TurnEvent.TurnEvent): string => {
 *   switch (event._tag) {
 *     case "Text":
 *       return event.content
 *     case "ToolCall":
 *       return `[${event.name} ${event.status ?? ""}]`
 *     default:
 *       return ""
 *   }
 * }
 *
 * line(TurnEvent.Text({ content: "Hello" })) // => "Hello"
 * ```
 */
import { Data } from "effect"

/** What the agent said. */
export interface Text {
  readonly _tag: "Text"
  /** A piece of it; a turn that is over has one for each message. */
  readonly content: string
  /** The message that it belongs to, where the agent tells. */
  readonly messageId?: string | undefined
}

/** What the agent thought. */
export interface Thinking {
  readonly _tag: "Thinking"
  /** A piece of it; a turn that is over has one for each message. */
  readonly content: string
  /** The message that it belongs to, where the agent tells. */
  readonly messageId?: string | undefined
}

/** A block that is no text, or one of the user's own message. */
export interface Content {
  readonly _tag: "Content"
  /** Who it is from: what the agent says, what it thinks, or the user. */
  readonly role: "agent" | "thought" | "user"
  /** An image, a resource and so on, as the agent protocol has it. */
  readonly block: unknown
  /** The message that it belongs to, where the agent tells. */
  readonly messageId?: string | undefined
}

/** A call of a tool as it stands. In a stream a later one with the same id takes the place of an earlier. */
export interface ToolCall {
  readonly _tag: "ToolCall"
  /** The tool's own name where it is known, else what the agent calls the call. */
  readonly name: string
  /** Tells the calls of one turn apart. */
  readonly id?: string | undefined
  /** What the call does, for people to read. */
  readonly title?: string | undefined
  /** `read`, `edit`, `execute`, … */
  readonly kind?: string | undefined
  /** `pending`, `in_progress`, `completed` or `failed`. */
  readonly status?: string | undefined
  /** The input of the tool. */
  readonly args?: { readonly [key: string]: unknown } | undefined
  /** The input of a tool where it is no object. */
  readonly rawInput?: unknown
  /** What the tool gave. */
  readonly result?: unknown
  /** What the tool shows beside its result: diffs, terminals. */
  readonly blocks?: ReadonlyArray<unknown> | undefined
  /** The files that it is about. */
  readonly locations?: ReadonlyArray<unknown> | undefined
}

/** One step of a plan. */
export interface PlanEntry {
  /** What is to be done. */
  readonly content: string
  /** `high`, `medium` or `low`. */
  readonly priority?: string | undefined
  /** `pending`, `in_progress` or `completed`. */
  readonly status?: string | undefined
}

/** The agent's plan; each one replaces the one before. */
export interface Plan {
  readonly _tag: "Plan"
  /** Its steps, in order. */
  readonly entries: ReadonlyArray<PlanEntry>
}

/** An amount of money. */
export interface Cost {
  readonly amount: number
  /** Its code, such as `USD`. */
  readonly currency: string
}

/** How full the context window is, what the session has cost, and what a turn used. */
export interface Usage {
  readonly _tag: "Usage"
  /** The tokens in the context window. */
  readonly used?: number | undefined
  /** The tokens that the context window has room for. */
  readonly size?: number | undefined
  /** Of the whole session, so far. */
  readonly cost?: Cost | undefined
  /** The tokens that the agent's model read. */
  readonly inputTokens?: number | undefined
  /** The tokens that the agent's model wrote. */
  readonly outputTokens?: number | undefined
  /** Of the tokens read, those that came from a cache. */
  readonly cachedTokens?: number | undefined
  /** All tokens together. */
  readonly totalTokens?: number | undefined
}

/** The agent is in another mode. */
export interface Mode {
  readonly _tag: "Mode"
  /** The mode that it is in now. */
  readonly modeId: string
}

/** The agent's options (model, effort) changed. */
export interface Config {
  readonly _tag: "Config"
  /** All of them as they stand now. */
  readonly options: ReadonlyArray<unknown>
}

/** The commands that the agent offers changed. */
export interface Commands {
  readonly _tag: "Commands"
  /** All that it offers now. */
  readonly commands: ReadonlyArray<unknown>
}

/** The agent named its session. */
export interface SessionInfo {
  readonly _tag: "SessionInfo"
  /** Its name; null where it has none any more. */
  readonly title?: string | null | undefined
  /** When the agent last worked on it, as the agent wrote it. */
  readonly updatedAt?: string | null | undefined
}

/** The agent has something to tell its operator. */
export interface Notice {
  readonly _tag: "Notice"
  /** What it told, as the agent protocol has it. */
  readonly update: unknown
}

/** The agent compacted its context. */
export interface Compaction {
  readonly _tag: "Compaction"
  /** What it told of it, as the agent protocol has it. */
  readonly update: unknown
}

/** The agent asked to use a tool, and what it was told. */
export interface Permission {
  readonly _tag: "Permission"
  /** The `id` of the tool call that it asked for. */
  readonly toolCallId: string
  /** The answers that it offered. */
  readonly options: ReadonlyArray<unknown>
  /** What it was told. */
  readonly decision: string
}

/** Whatever else came. */
export interface Unknown {
  readonly _tag: "Unknown"
  /** As it came. */
  readonly raw: unknown
}

/** Any event of a turn. */
export type TurnEvent =
  | Text
  | Thinking
  | Content
  | ToolCall
  | Plan
  | Usage
  | Mode
  | Config
  | Commands
  | SessionInfo
  | Notice
  | Compaction
  | Permission
  | Unknown

export const {
  Text,
  Thinking,
  Content,
  ToolCall,
  Plan,
  Usage,
  Mode,
  Config,
  Commands,
  SessionInfo,
  Notice,
  Compaction,
  Permission,
  Unknown,
  /** Whether an event is of one kind: `TurnEvent.is("Text")`. */
  $is: is,
  /** One function per kind of event. */
  $match: match
} = Data.taggedEnum<TurnEvent>()

/** What the agent said: the content of all text events, in order, with nothing between. */
export const text = (events: Iterable<TurnEvent>): string => {
  let said = ""
  for (const event of events) if (event._tag === "Text") said += event.content
  return said
}
