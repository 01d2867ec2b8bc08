/**
 * A session of a coding agent, as a handle that belongs to a `Scope`.
 *
 * A session is open, then closing, then closed, and never goes back. Its turns are sent one at a time, in the order in
 * which they were requested. When the scope ends, by success, failure or interruption, the session is closed.
 *
 * `Forge.session` opens one, `Forge.attach` borrows one. Fibers can share a handle. Printed, it shows its state, and no
 * secret. It is an interface, so a test can implement it by hand.
 */
import type { Effect, Schema, Stream } from "effect"
import type { CancelError, CloseError, DiffError, StateError, TurnAsError, TurnError } from "./ForgeError.ts"
import type { SessionFiles } from "./SessionFiles.ts"
import type { LiveState, SessionId, SessionInfo } from "./SessionInfo.ts"
import type { Part, StreamOptions, Structured, Turn, TurnAsOptions, TurnOptions } from "./Turn.ts"

/**
 * A handle on a session.
 *
 * **Example** (Two turns, the second about the first)
 *
 * ```ts
 * import { Effect } from "effect"
 * import { Forge } from "effect-clawdforge"
 *
 * const program = Effect.scoped(
 *   Effect.gen(function* () {
 *     const session = yield* Forge.session({ agent: "demo" })
 *     yield* session.turn("Remember the word xyzzy.")
 *     const answer = yield* session.turn("Which word did I tell you?")
 *     return answer.text
 *   })
 * )
 * ```
 */
export interface Session {
  /** The session as it was created. */
  readonly info: SessionInfo
  /** The server's id of the session, by which `Forge.attach` can borrow it later. */
  readonly id: SessionId

  /**
   * Sends a prompt and waits for the turn to end.
   *
   * Turns of one session are sent one at a time, in the order in which they were requested; sessions do not wait for each
   * other. Interrupting a turn that waits sends nothing. Interrupting a turn in flight closes its connection, and the
   * session stays usable: a server that names `cancel` is asked in the background to cancel the turn, and the next turn
   * waits for that; on any other server the agent goes on, and the next turn waits behind it.
   */
  readonly turn: (prompt: string, options?: TurnOptions) => Effect.Effect<Turn, TurnError>

  /**
   * Sends a prompt and decodes the answer by a Schema, with its transformations and services.
   *
   * The agent gets the Schema as JSON Schema with the prompt. The JSON of its answer may be fenced or bare; of several values the
   * last that fits is taken. Where none fits, the error goes back to the agent, `repairs` times at most, in turns of the same
   * session that no other turn comes between; `timeout` is that of all of them. Only an answer that ended by `end_turn` is
   * repaired. It fails with the reason `OutputMismatch`, which has every answer.
   */
  readonly turnAs: <S extends Schema.Constraint>(
    schema: S,
    prompt: string,
    options?: TurnAsOptions
  ) => Effect.Effect<Structured<S["Type"]>, TurnAsError, S["DecodingServices"]>

  /**
   * Sends a prompt at the first pull, and gives the events of its turn as they happen, then the turn: the last part is `Done`,
   * or the stream fails. Read slowly, it slows down the agent.
   *
   * A connection that breaks is opened again after the last event that arrived, where the server keeps events by key
   * (`idempotency` and `stream`): no event is lost or given twice. Elsewhere the stream fails with `Reset`. Until its first
   * event a stream is retried like any other call. A server without streams gives all parts at once.
   *
   * The session's next turn waits until the stream has ended. One that the reading fiber itself sends before that is refused
   * (`ApiError<422>`, not sent), since it would wait for ever. Ending the stream early cancels the turn on the server; see
   * `onInterrupt`.
   */
  readonly stream: (prompt: string, options?: StreamOptions) => Stream.Stream<Part, TurnError>

  /**
   * Cancels the turn in flight, of any handle, and returns whether there was one. That turn then ends with the stop reason
   * `cancelled`; waiting turns are not affected. A server that does not name `cancel` answers 404.
   */
  readonly cancel: Effect.Effect<boolean, CancelError>

  /** The session as the server sees it now. */
  readonly state: Effect.Effect<LiveState, StateError>

  /**
   * What the session has changed in its workspace since it was opened, as a patch for `git apply`, ignored files left out; at
   * most 16 MiB. It is of a session with a `clone` or a `copy`, on a server that names `diff`, also after it has closed, for as
   * long as the server keeps it. Any other is `ApiError<404>`.
   */
  readonly diff: Effect.Effect<string, DiffError>

  /** The files in the folder that the session works in. */
  readonly files: SessionFiles

  /**
   * Closes the session now, before its scope ends. Concurrent calls send one request and share its result; after a failure
   * it can be called again. Waiting turns fail with `SessionClosed` and are not sent; a turn in flight is not waited for.
   */
  readonly close: Effect.Effect<void, CloseError>

  /**
   * Waits until the session is closed, and returns by which side: `client` once a `close` has succeeded or the scope has
   * ended, `server` once a turn finds the session closed there. It does not poll the server, and stays pending after a
   * `close` that failed.
   */
  readonly closed: Effect.Effect<"client" | "server">
}
