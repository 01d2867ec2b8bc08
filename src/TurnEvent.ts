/**
 * What happens in a turn, one event at a time.
 *
 * The union is open at its end: whatever a server or an agent sends that is not known here arrives as `Unknown`, whole.
 * A field that a server adds to a known event stays on it, under the name that it came with.
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

/** Any event of a turn. */
export type TurnEvent = Data.TaggedEnum<{
  /** What the agent said. */
  Text: { readonly content: string; readonly messageId?: string | undefined }
  /** What the agent thought. */
  Thinking: { readonly content: string; readonly messageId?: string | undefined }
  /** A block that is no text, or one of the user's own message, as the agent protocol has it. */
  Content: {
    readonly role: "agent" | "thought" | "user"
    readonly block: unknown
    readonly messageId?: string | undefined
  }
  /** A call of a tool as it stands. In a stream a later one with the same id takes the place of an earlier. */
  ToolCall: {
    readonly name: string
    readonly id?: string | undefined
    readonly title?: string | undefined
    /** `read`, `edit`, `execute`, … */
    readonly kind?: string | undefined
    /** `pending`, `in_progress`, `completed` or `failed`. */
    readonly status?: string | undefined
    readonly args?: { readonly [key: string]: unknown } | undefined
    /** The input of a tool where it is no object. */
    readonly rawInput?: unknown
    readonly result?: unknown
    /** What the tool shows beside its result: diffs, terminals. */
    readonly blocks?: ReadonlyArray<unknown> | undefined
    readonly locations?: ReadonlyArray<unknown> | undefined
  }
  /** The agent's plan; each one replaces the one before. */
  Plan: {
    readonly entries: ReadonlyArray<{
      readonly content: string
      readonly priority?: string | undefined
      readonly status?: string | undefined
    }>
  }
  /** How full the context window is (`used` of `size` tokens), what the session has cost, and what a turn used. */
  Usage: {
    readonly used?: number | undefined
    readonly size?: number | undefined
    readonly cost?: { readonly amount: number; readonly currency: string } | undefined
    readonly inputTokens?: number | undefined
    readonly outputTokens?: number | undefined
    readonly cachedTokens?: number | undefined
    readonly totalTokens?: number | undefined
  }
  /** The agent is in another mode. */
  Mode: { readonly modeId: string }
  /** The agent's options (model, effort) as they stand now. */
  Config: { readonly options: ReadonlyArray<unknown> }
  /** The commands that the agent offers now. */
  Commands: { readonly commands: ReadonlyArray<unknown> }
  /** The agent named its session. */
  SessionInfo: { readonly title?: string | null | undefined; readonly updatedAt?: string | null | undefined }
  /** The agent has something to tell its operator. */
  Notice: { readonly update: unknown }
  /** The agent compacted its context. */
  Compaction: { readonly update: unknown }
  /** The agent asked to use a tool, and what it was told. */
  Permission: {
    readonly toolCallId: string
    readonly options: ReadonlyArray<unknown>
    readonly decision: string
  }
  /** Whatever else came, as it came. */
  Unknown: { readonly raw: unknown }
}>

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
