/**
 * What happens in a turn, one event at a time. `TurnEventCodec` stores and sends events, `EventDecoder` reads them.
 */
import type { Cost, PlanEntry } from "./EventKinds.ts"

export type { Cost, PlanEntry } from "./EventKinds.ts"

/** What the agent said. */
export interface Text {
  readonly _tag: "Text"
  /** A piece of it; a turn that is over has one for each message. */
  readonly content: string
  /** The message that it belongs to, where the agent says so. */
  readonly messageId?: string | undefined
}

/** What the agent thought. */
export interface Thinking {
  readonly _tag: "Thinking"
  /** A piece of it; a turn that is over has one for each message. */
  readonly content: string
  /** The message that it belongs to, where the agent says so. */
  readonly messageId?: string | undefined
}

/** A block that is no text, or one of the user's own message. */
export interface Content {
  readonly _tag: "Content"
  /** Who it is from: what the agent says, what it thinks, or the user. */
  readonly role: "agent" | "thought" | "user"
  /** An image, a resource and so on, as the agent protocol has it. */
  readonly block: unknown
  /** The message that it belongs to, where the agent says so. */
  readonly messageId?: string | undefined
}

/**
 * A call of a tool as it stands. In a stream a later one with the same id replaces an earlier one, unless that one has
 * ended and the later has a status that is not an end, or another input: agents may use an id again.
 */
export interface ToolCall {
  readonly _tag: "ToolCall"
  /** The tool's own name where it is known, else what the agent calls the call. */
  readonly name: string
  /** Tells the calls of one turn apart that are under way together. */
  readonly id?: string | undefined
  /** What the call does, for people to read. */
  readonly title?: string | undefined
  /** `read`, `edit`, `execute`, … */
  readonly kind?: string | undefined
  /**
   * `pending`, `in_progress`, `completed` or `failed`. A call that was not permitted, and that the agent left open, is
   * `failed` at the end of its turn.
   */
  readonly status?: string | undefined
  /** The input of the tool. */
  readonly args?: { readonly [key: string]: unknown } | undefined
  /** The input of a tool where it is no object. */
  readonly rawInput?: unknown
  /** What the tool gave. */
  readonly result?: unknown
  /** What the tool shows next to its result: diffs, terminals. */
  readonly blocks?: ReadonlyArray<unknown> | undefined
  /** The files that it is about. */
  readonly locations?: ReadonlyArray<unknown> | undefined
}

/** The agent's plan; each one replaces the one before. */
export interface Plan {
  readonly _tag: "Plan"
  /** Its steps, in order. */
  readonly entries: ReadonlyArray<PlanEntry>
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
  /** Its name; null where it was removed. */
  readonly title?: string | null | undefined
  /** When the agent last worked on it, as the agent wrote it. */
  readonly updatedAt?: string | null | undefined
}

/** A notice of the agent to its operator. */
export interface Notice {
  readonly _tag: "Notice"
  /** The notice, as the agent protocol has it. */
  readonly update: unknown
}

/** The agent compacted its context. */
export interface Compaction {
  readonly _tag: "Compaction"
  /** Its report of that, as the agent protocol has it. */
  readonly update: unknown
}

/** The agent asked for permission to use a tool, and was answered. */
export interface Permission {
  readonly _tag: "Permission"
  /** The `id` of the tool call that it asked for. */
  readonly toolCallId: string
  /** The answers that it offered. */
  readonly options: ReadonlyArray<unknown>
  /** The answer that it got. */
  readonly decision: string
}

/** What the agent sent for an earlier turn after its answer to it. It stands at the start of a turn, and adds no text to it. */
export interface Late {
  readonly _tag: "Late"
  /** The index of the turn that it belongs to. */
  readonly turnIndex: number
  /** What it would have been in that turn. */
  readonly event: TurnEvent
}

/** An event that this version does not know. */
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
  | Late
  | Unknown

/** An event as the wire has it: its kind is in `type`, and its names are in snake_case. */
export interface TurnEventEncoded {
  readonly type: string
  readonly [field: string]: unknown
}

/** What the agent said: the content of all text events, in order, with nothing between. */
export const text = (events: Iterable<TurnEvent>): string => {
  let said = ""
  for (const event of events) if (event._tag === "Text") said += event.content
  return said
}
