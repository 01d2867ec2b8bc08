/**
 * One turn of a session: what it is asked with, and what came of it.
 *
 * A turn that ended is a value, whatever it ended for: `stopReason` tells. Only a turn that got no end is an error.
 */
import type { Duration } from "effect"
import type { SessionId } from "./SessionInfo.ts"
import * as TurnEvent from "./TurnEvent.ts"
import type { FileToken } from "./Upload.ts"

/** What goes with a prompt. */
export interface TurnOptions {
  /** Files that were uploaded before, for the agent to read. */
  readonly files?: ReadonlyArray<FileToken> | undefined
  /**
   * How long the agent may work on it: 2 minutes by default, sent in whole seconds, rounded up. A server clamps it to what
   * it allows. This client waits 30 seconds longer, so that the server's own answer wins.
   */
  readonly timeout?: Duration.Input | undefined
}

/** What a turn or a run used, as far as the agent told. */
export interface Usage {
  /** Those that the agent's model read; of them, `cachedTokens` came from its cache. */
  readonly inputTokens?: number | undefined
  readonly outputTokens?: number | undefined
  readonly cachedTokens?: number | undefined
  readonly totalTokens?: number | undefined
  /** In US dollars. */
  readonly costUsd?: number | undefined
}

/** A turn that ended. */
export interface Turn {
  readonly sessionId: SessionId
  /** Its place in the session, from 1. */
  readonly index: number
  /** All that the agent said, in order, with nothing between. */
  readonly text: string
  /** What happened, in order; chunks of one message are one event, and so is all that was told of one tool call. */
  readonly events: ReadonlyArray<TurnEvent.TurnEvent>
  /** Why it ended: `end_turn`, `max_tokens`, `max_turn_requests`, `refusal`, `cancelled`, or what else a server says. */
  readonly stopReason: string | null
  /** How long it took, by the server's clock. */
  readonly duration: Duration.Duration
  /** As far as the agent told, and the server tells. */
  readonly usage: Usage | undefined
}

/**
 * A turn from its parts; its text is taken from the events.
 *
 * **Example** (A turn for a test)
 *
 * ```ts
 * import { Duration } from "effect"
 * import { type SessionInfo, Turn, TurnEvent } from "effect-clawdforge"
 *
 * const of = (sessionId: SessionInfo.SessionId) =>
 *   Turn.make({
 *     sessionId,
 *     index: 1,
 *     events: [TurnEvent.Text({ content: "Hello, " }), TurnEvent.Text({ content: "world" })],
 *     stopReason: "end_turn",
 *     duration: Duration.seconds(1)
 *   })
 * ```
 */
export const make = (parts: Omit<Turn, "text" | "usage"> & { readonly usage?: Usage | undefined }): Turn => ({
  ...parts,
  text: TurnEvent.text(parts.events),
  usage: parts.usage
})
