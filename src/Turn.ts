/**
 * One turn of a session: what it is asked with, and what came of it.
 *
 * A turn that ended is a value, whatever it ended for: see `stopReason`. Only a turn that did not end is an error.
 *
 * **The public data of this package** (`Turn`, `TurnEvent`, `Run`, `SessionInfo`, `Health`, `AppToken`, `Upload`).
 * Every record can be built as a plain object, and its codec of the same name stores it or sends it elsewhere: the encoded
 * form is the wire's, JSON in snake_case. In all public data a field is undefined where a server may leave it out, and
 * null only where null has a meaning of its own: `model`, `meta`, `lastTurnAt`, `closedAt`, `stopReason`.
 *
 * **Example** (Storing a turn and reading it back)
 *
 * ```ts
 * import { Schema } from "effect"
 * import { Turn } from "effect-clawdforge"
 *
 * const Stored = Schema.fromJsonString(Turn.Turn)
 *
 * const toText = Schema.encodeEffect(Stored)
 * const fromText = Schema.decodeEffect(Stored)
 * ```
 */
import type { Duration, Schema } from "effect"
import * as TurnEvent from "./TurnEvent.ts"
import type { FileToken } from "./Upload.ts"
import * as Codec from "./wire/TurnCodec.ts"
import type * as Wire from "./wire/Turns.ts"
import * as UsageWire from "./wire/Usage.ts"

export type { TurnEncoded } from "./wire/TurnCodec.ts"
export type { UsageEncoded } from "./wire/Usage.ts"

/**
 * What a turn or a run used, as far as the agent reports it. Of an agent that reports the total of its session (Copilot),
 * a turn used the increase, which is not known of the first turn after the server has restored the session.
 */
export type Usage = UsageWire.Usage

/** The codec of a usage. */
export const Usage: Schema.Codec<Usage, UsageWire.UsageEncoded> = UsageWire.usage

/** A turn that ended. */
export type Turn = Wire.Turn

/** The codec of a turn. Its text is not encoded: it is taken from the events again. */
export const Turn: Schema.Codec<Turn, Codec.TurnEncoded> = Codec.turn

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
export const make = (parts: Omit<Turn, "text">): Turn => ({ ...parts, text: TurnEvent.text(parts.events) })
