/**
 * A session of a coding agent, as a handle that belongs to a `Scope`.
 *
 * A session is open, then closing, then closed, and never goes back. Its turns are sent one at a time, in the order in
 * which they were asked for. When the scope ends, by success, failure or interruption, the session is closed.
 *
 * `Forge.session` opens one, `Forge.attach` borrows one. A handle can be shared by fibers; what it shows when it is printed
 * is its state, and no secret.
 */
import { Deferred, Duration, Effect, Exit, Fiber, Inspectable, Scope, Semaphore } from "effect"
import { ForgeClient } from "./ForgeClient.ts"
import {
  type CancelError,
  type CloseError,
  type CreateError,
  SessionClosed,
  type StateError,
  type TurnError
} from "./ForgeError.ts"
import * as Invocation from "./internal/telemetry/Invocation.ts"
import * as Sessions from "./internal/calls/Sessions.ts"
import * as Turns from "./internal/calls/Turns.ts"
import * as SessionSpan from "./internal/telemetry/SessionSpan.ts"
import * as Unclosed from "./internal/telemetry/CloseFailure.ts"
import type { LiveState, SessionId, SessionInfo, SessionOptions } from "./SessionInfo.ts"
import type { Turn, TurnOptions } from "./Turn.ts"

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
  /** What the session was created with. */
  readonly info: SessionInfo
  /** The server's id of it, which can be kept: `Forge.attach` borrows the session by it. */
  readonly id: SessionId

  /**
   * Sends a prompt and waits for the turn to end.
   *
   * Turns of one session are sent one at a time, in the order they were asked for; sessions do not wait for each other.
   * An interrupt while it waits sends nothing. An interrupt while it is under way closes the connection, and the session
   * stays usable. A server that names `cancel` is told in the background, and the next turn waits for its word; any other
   * lets the agent go on, and the next turn waits behind that.
   */
  readonly turn: (prompt: string, options?: TurnOptions) => Effect.Effect<Turn, TurnError>

  /**
   * Ends the turn that is under way, whoever asked for it, and says whether there was one; that turn then answers with
   * `cancelled`, and those that wait are not touched. A server that does not name `cancel` answers 404.
   */
  readonly cancel: Effect.Effect<boolean, CancelError>

  /** The session as the server sees it now. */
  readonly state: Effect.Effect<LiveState, StateError>

  /**
   * Closes the session now, before its scope ends. However many ask, one request is sent, and all get its result; after a
   * failed one it can be closed again. Turns that wait fail with `SessionClosed` and are not sent; one under way is not
   * waited for.
   */
  readonly close: Effect.Effect<void, CloseError>
}

/** How long the end of a scope may take to close its session. */
const closeBound = Duration.seconds(5)

/** How long the next turn waits for the cancel of the one before. */
const cancelBound = Duration.seconds(5)

type Status = { readonly _tag: "Open" | "Closing" } | { readonly _tag: "Closed"; readonly by: "client" | "server" }

const open: Status = { _tag: "Open" }
const closing: Status = { _tag: "Closing" }

/** More permits than turns can wait: it lets them all through, to find the session closed. */
const everyone = Number.MAX_SAFE_INTEGER

/** Methods stand on the prototype, so that a handle costs its fields only. */
class Handle extends Inspectable.Class implements Session {
  readonly info: SessionInfo
  // Private to the runtime too: the client behind it is in no printout of a handle.
  readonly #client: ForgeClient["Service"]
  readonly #owned: boolean
  readonly #span: SessionSpan.SessionSpan | undefined
  readonly #turns = Semaphore.makeUnsafe(1)
  #status: Status = open
  #deleting: Deferred.Deferred<void, CloseError> | undefined = undefined
  #cancelling: Fiber.Fiber<unknown, unknown> | undefined = undefined

  constructor(
    client: ForgeClient["Service"],
    info: SessionInfo,
    held: { readonly owned: boolean; readonly span: SessionSpan.SessionSpan | undefined }
  ) {
    super()
    this.info = info
    this.#client = client
    this.#owned = held.owned
    this.#span = held.span
  }

  get span(): SessionSpan.SessionSpan | undefined {
    return this.#span
  }

  get id(): SessionId {
    return this.info.id
  }

  get state(): Effect.Effect<LiveState, StateError> {
    return SessionSpan.request(this.#span, this.#client.getSession(this.id))
  }

  get cancel(): Effect.Effect<boolean, CancelError> {
    return SessionSpan.request(this.#span, this.#client.cancelTurn(this.id))
  }

  get close(): Effect.Effect<void, CloseError> {
    return SessionSpan.request(this.#span, this.#delete)
  }

  turn(prompt: string, options?: TurnOptions): Effect.Effect<Turn, TurnError> {
    return turnOf(this, prompt, options)
  }

  override toJSON(): unknown {
    return { _id: "Session", ...this.info, status: this.#status._tag }
  }

  /** Fails once the session is no longer open. */
  get checkOpen(): Effect.Effect<void, SessionClosed> {
    return Effect.suspend(() => (this.#status._tag === "Open" ? Effect.void : Effect.fail(this.closedError())))
  }

  closedError(): SessionClosed {
    const by = this.#status._tag === "Closed" ? this.#status.by : "client"
    return new SessionClosed({ sessionId: this.id, by })
  }

  /** Sends a turn once it is its place, and the session still open. */
  send(prompt: string, options: TurnOptions | undefined): Effect.Effect<Turn, TurnError> {
    const sent = this.#client.turn(this.id, prompt, { ...options, onAbandoned: (key) => this.#cancelLater(key) })
    return this.#turns.withPermit(Effect.andThen(this.#checkPlace, sent))
  }

  /** A cancel that is still under way would hit the next turn: that one waits until it is over. */
  get #checkPlace(): Effect.Effect<void, SessionClosed> {
    return Effect.suspend(() =>
      this.#cancelling === undefined ? this.checkOpen : Effect.andThen(Fiber.await(this.#cancelling), this.checkOpen)
    )
  }

  /**
   * Tells a server that can cancel that nobody waits for the turn any more, by its key: what is under way there may be
   * another handle's. The end of a session says so by itself.
   */
  #cancelLater(key: string): Effect.Effect<void> {
    return Effect.suspend(() => {
      if (this.#status._tag !== "Open") return Effect.void
      const cancel = Effect.flatMap(this.#client.health, ({ features }) =>
        features.includes("cancel") ? this.#client.cancelTurn(this.id, { key }) : Effect.void
      )
      return Effect.map(this.#client.background(Effect.timeoutOption(cancel, cancelBound)), (fiber) => {
        this.#cancelling = fiber
      })
    })
  }

  /** The session is found closed: on the server, unless this handle is closing it. */
  ended(): Effect.Effect<never, SessionClosed> {
    if (this.#status._tag === "Open") this.#status = { _tag: "Closed", by: "server" }
    return Effect.andThen(this.#turns.resize(everyone), Effect.fail(this.closedError()))
  }

  get isClosed(): boolean {
    return this.#status._tag === "Closed"
  }

  /** Sends one DELETE for all who ask while it is under way. */
  get #delete(): Effect.Effect<void, CloseError> {
    // What is begun here is carried through: an interrupt before the request would leave all who ask waiting for it.
    return Effect.uninterruptibleMask((restore) => {
      if (this.isClosed) return Effect.void
      if (this.#deleting !== undefined) return restore(Deferred.await(this.#deleting))
      const deleting = Deferred.makeUnsafe<void, CloseError>()
      this.#status = closing
      this.#deleting = deleting
      const sent = Effect.onExit(this.#deleteOnce, (exit) => this.#deleted(deleting, exit))
      return this.#turns
        .resize(everyone)
        .pipe(Effect.andThen(this.#client.background(sent)), Effect.andThen(restore(Deferred.await(deleting))))
    })
  }

  get #deleteOnce(): Effect.Effect<void, CloseError> {
    return Sessions.acceptClosed(this.#client.closeSession(this.id), { owned: this.#owned })
  }

  #deleted(deleting: Deferred.Deferred<void, CloseError>, exit: Exit.Exit<void, CloseError>): Effect.Effect<void> {
    this.#deleting = undefined
    if (Exit.isSuccess(exit)) this.#status = { _tag: "Closed", by: "client" }
    return Effect.asVoid(Deferred.done(deleting, exit))
  }
}

const turnOf = Effect.fnUntraced(function* (self: Handle, prompt: string, options: TurnOptions | undefined) {
  yield* Turns.encode(prompt, options)
  const sent = self.checkOpen.pipe(
    Effect.andThen(self.send(prompt, options)),
    Effect.catchTag("SessionClosed", () => self.ended())
  )
  return yield* Invocation.turn(self.info, self.span, prompt, sent)
})

/** Closes at the end of a scope: it waits within the bound, and never fails what the scope was for. */
const release = Effect.fnUntraced(function* (self: Handle) {
  yield* SessionSpan.released(self.span)
  if (self.isClosed) return
  const close = Effect.timeoutOrElse(self.close, {
    duration: closeBound,
    orElse: () => Effect.fail({ message: `the server did not answer within ${Duration.format(closeBound)}` })
  })
  yield* Unclosed.tellFailure(self.id, close)
})

/**
 * Opens a session that is closed when the scope ends. An interrupt returns at once: a session that the server made all
 * the same is closed in the background.
 */
export const acquire = (options?: SessionOptions): Effect.Effect<Session, CreateError, ForgeClient | Scope.Scope> =>
  Effect.uninterruptibleMask((restore) => hold(create(options, restore)))

/**
 * Releases a handle with the scope of whoever asked for it, or with the client's, whichever ends first: without its
 * client a session could not be closed any more.
 */
const hold = Effect.fnUntraced(function* <E>(handle: Effect.Effect<Handle, E, ForgeClient | Scope.Scope>) {
  const client = yield* ForgeClient
  const fork = Effect.flatMap(client.scope, Scope.fork)
  const held = yield* Effect.acquireRelease(fork, (scope, exit) => Scope.close(scope, exit))
  const context = yield* Effect.context()
  const session = yield* handle.pipe(
    Scope.provide(held),
    Effect.onError((cause) => Scope.close(held, Exit.failCause(cause)))
  )
  // What the end of the session tells goes where its start was told, wherever the scope ends.
  yield* Scope.addFinalizer(held, Effect.provideContext(release(session), context))
  return session
})

type Restore = <A, E, R>(effect: Effect.Effect<A, E, R>) => Effect.Effect<A, E, R>

const create = Effect.fnUntraced(function* (options: SessionOptions = {}, restore: Restore) {
  const client = yield* ForgeClient
  const { agent = "claude", model } = yield* Sessions.encodeCreate(options)
  const span = yield* SessionSpan.make(agent)
  const created = Effect.flatMap(client.createSession(options), ({ abandon, join }) =>
    Effect.onInterrupt(restore(join), () => abandon)
  )
  const info = yield* Invocation.create(agent, model, span, created)
  yield* SessionSpan.opened(span, info)
  return new Handle(client, info, { owned: true, span })
})

/** A handle on a session that somebody else owns: nothing closes it but its `close`. */
export const attach = Effect.fnUntraced(function* (id: SessionId): Effect.fn.Return<Session, StateError, ForgeClient> {
  const client = yield* ForgeClient
  const { agent, createdAt, cwd, model } = yield* client.getSession(id)
  return new Handle(client, { id, agent, createdAt, cwd, model }, { owned: false, span: undefined })
})
