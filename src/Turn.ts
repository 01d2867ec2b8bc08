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
import { type Duration, Effect, Option, Reducer, type Schema, Stream } from "effect"
import * as TurnEvent from "./TurnEvent.ts"
import type { FileToken } from "./Upload.ts"
import * as Parts from "./wire/Parts.ts"
import * as Codec from "./wire/TurnCodec.ts"
import * as TurnEvents from "./wire/TurnEvents.ts"
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
  /**
   * Files that were uploaded before, for the agent to read. On our server an image (GIF, JPEG, PNG, WebP; 5 MB of a turn
   * together) is also in the prompt itself, for an agent that takes images.
   */
  readonly files?: ReadonlyArray<FileToken> | undefined
  /**
   * How long the agent may work on it: 2 minutes by default, sent in whole seconds, rounded up. A server clamps it to what
   * it allows. This client waits 30 seconds longer, so that the server's own answer wins.
   */
  readonly timeout?: Duration.Input | undefined
  /**
   * The idempotency key of the turn: 1 to 255 visible ASCII characters; a random one if not given. On a server that keeps
   * keys, the same key and prompt again, from any process, joins the turn or gets its answer, and does not run it twice.
   */
  readonly key?: string | undefined
  /** How long it may wait for the turns before it; as long as they take if not given. It then fails with `Timeout`, not sent. */
  readonly queueTimeout?: Duration.Input | undefined
  /**
   * How the answer is transferred. A `json` answer sends no byte until the turn ends, which a proxy may not wait for; `stream`
   * asks for an event stream, and takes JSON from a server without one. `auto`, the default, is `stream` from a timeout of
   * 60 seconds on.
   */
  readonly transport?: "auto" | "json" | "stream" | undefined
}

/** What goes with a prompt whose turn is read as it happens. */
export interface StreamOptions extends Omit<TurnOptions, "transport"> {
  /**
   * How long it may take until the next event. Keep-alive comments do not count, nor does the time that the reader takes. The
   * stream then fails with `Timeout`, and the turn is cancelled.
   */
  readonly idle?: Duration.Input | undefined
  /** Leaves out this many events, which were read before under the same `key`. See `withCursor`. */
  readonly after?: number | undefined
  /**
   * What becomes of a turn whose stream is interrupted, or ended before its last part: `cancel`, the default, cancels it on
   * the server; `detach` lets it run to its timeout, so that the same `key` can read it later.
   */
  readonly onInterrupt?: "cancel" | "detach" | undefined
}

/** What goes with a prompt whose answer is decoded. */
export interface TurnAsOptions extends TurnOptions {
  /** How often the agent is asked again when its answer does not match: twice if not given. */
  readonly repairs?: number | undefined
}

/** An answer that was decoded. */
export interface Structured<A> {
  readonly value: A
  /** The turn that gave it. */
  readonly turn: Turn
  /** How many turns it took. */
  readonly attempts: number
  /** What all of them used. */
  readonly usage: Usage | undefined
}

/** Adds usages up. A count that none of them has stays undefined. */
export const UsageReducerSum: Reducer.Reducer<Usage> = Reducer.make(UsageWire.add, {})

/** The last part of a stream: the turn, as `session.turn` would have returned it. */
export type Done = Parts.TurnDone

export const Done = (fields: Omit<Done, "_tag">): Done => ({ _tag: "Done", ...fields })

/** One part of a streamed turn: an event as it happens, or at the end the turn. */
export type Part = Parts.TurnPart

/** The codec of a part, to send a stream on over RPC or to a browser. */
export const Part: Schema.Codec<Part, Parts.TurnPartEncoded> = Parts.turnPart

/** Whether a part is the last one. */
export const isDone = (part: Part): part is Done => part._tag === "Done"

// ---------------------------------------------------------------------------------------------------------------------
// Streams
// ---------------------------------------------------------------------------------------------------------------------

/**
 * The text of a stream, piece by piece.
 *
 * **Example** (Printing an answer while it is written)
 *
 * ```ts
 * import { Console, Stream } from "effect"
 * import { Forge, Turn } from "effect-clawdforge"
 *
 * const program = Forge.withSession({ agent: "claude" }, (session) =>
 *   session.stream("Tell me a story.").pipe(Turn.texts, Stream.runForEach(Console.log))
 * )
 * ```
 */
export const texts = <E, R>(stream: Stream.Stream<Part | Parts.RunPart, E, R>): Stream.Stream<string, E, R> =>
  stream.pipe(
    Stream.filter((part) => part._tag === "Text"),
    Stream.map(({ content }) => content)
  )

/** Reads a stream to its end, and returns its turn. */
export const run = <E, R>(stream: Stream.Stream<Part, E, R>): Effect.Effect<Turn, E, R> =>
  Stream.filter(stream, isDone).pipe(
    Stream.runLast,
    Effect.flatMap(
      Option.match({
        onNone: () =>
          Effect.die(new Error("a stream of a turn that ends without its last part: it was cut by its reader")),
        onSome: ({ turn }) => Effect.succeed(turn)
      })
    )
  )

/** A turn as far as it has come. */
export interface Progress {
  readonly text: string
  readonly events: ReadonlyArray<TurnEvent.TurnEvent>
}

/**
 * The turn so far, after each part: for a screen that is drawn anew. Chunks of one message are one event in it, and so are all
 * updates of one tool call.
 */
export const progress = <E, R>(stream: Stream.Stream<Part, E, R>): Stream.Stream<Progress, E, R> =>
  Stream.scan(
    stream,
    (): Progress => ({ text: "", events: [] }),
    (soFar: Progress, part: Part): Progress =>
      part._tag === "Done"
        ? part.turn
        : {
            text: part._tag === "Text" ? soFar.text + part.content : soFar.text,
            events: TurnEvents.merge([...soFar.events, part])
          }
  )

/** A part with its number. */
export interface Numbered<P> {
  /** The number of the event in its turn, from 1; of the last part the number of events. */
  readonly cursor: number
  readonly part: P
}

/**
 * Pairs each part with its number, so that another reader goes on after it: `session.stream(prompt, { key, after: cursor })`.
 * A stream that was itself opened with `after` is numbered from there.
 */
export const withCursor =
  (options: Pick<StreamOptions, "after"> = {}) =>
  <P extends { readonly _tag: string }, E, R>(stream: Stream.Stream<P, E, R>): Stream.Stream<Numbered<P>, E, R> =>
    Stream.map(Stream.zipWithIndex(stream), ([part, index]) => ({
      part,
      cursor: (options.after ?? 0) + index + (part._tag === "Done" ? 0 : 1)
    }))

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
