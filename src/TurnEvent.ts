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
 *
 * `Turn` documents how events are stored, and how absent fields look.
 */
import { Data, type Schema } from "effect"
import type * as Wire from "./wire/TurnEvent.ts"
import * as Codec from "./wire/TurnEventCodec.ts"

export { type Cost, type PlanEntry } from "./wire/EventKinds.ts"
export { text, type TurnEventEncoded } from "./wire/TurnEvent.ts"

/** What the agent said. */
export type Text = Wire.Text

/** What the agent thought. */
export type Thinking = Wire.Thinking

/** A block that is no text, or one of the user's own message. */
export type Content = Wire.Content

/**
 * A call of a tool as it stands. In a stream a later one with the same id replaces an earlier one, unless that one has
 * ended and the later has a status that is not an end, or another input: agents may use an id again.
 */
export type ToolCall = Wire.ToolCall

/** The agent's plan; each one replaces the one before. */
export type Plan = Wire.Plan

/** How full the context window is, what the session has cost, and what a turn used. */
export type Usage = Wire.Usage

/** The agent is in another mode. */
export type Mode = Wire.Mode

/** The agent's options (model, effort) changed. */
export type Config = Wire.Config

/** The commands that the agent offers changed. */
export type Commands = Wire.Commands

/** The agent named its session. */
export type SessionInfo = Wire.SessionInfo

/** A notice of the agent to its operator. */
export type Notice = Wire.Notice

/** The agent compacted its context. */
export type Compaction = Wire.Compaction

/** The agent asked for permission to use a tool, and was answered. */
export type Permission = Wire.Permission

/** What the agent sent for an earlier turn after its answer to it. It stands at the start of a turn, and adds no text to it. */
export type Late = Wire.Late

/** An event that this version does not know. */
export type Unknown = Wire.Unknown

/** Any event of a turn. */
export type TurnEvent = Wire.TurnEvent

/** The codec of any event: what was encoded decodes to the same event, with the fields that a server added to it. */
export const TurnEvent: Schema.Codec<TurnEvent, Wire.TurnEventEncoded> = Codec.turnEvent

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
  Late,
  Unknown,
  /** Whether an event is of one kind: `TurnEvent.is("Text")`. */
  $is: is,
  /** One function per kind of event. */
  $match: match
} = Data.taggedEnum<TurnEvent>()
