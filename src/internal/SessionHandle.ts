/**
 * The handle of a session: its state, and everything that its `Session` does. Open, closing, closed, and never back.
 */
import { Deferred, Duration, Effect, Exit, Inspectable, type Schema, type Scope, Stream } from "effect"
import {
  type ApiError,
  type CancelError,
  type CloseError,
  type DiffError,
  type Issue,
  SessionClosed,
  type StateError,
  type TurnAsError,
  type TurnError
} from "../ForgeError.ts"
import type { Session } from "../Session.ts"
import type { SessionFiles } from "../SessionFiles.ts"
import type { LiveState, SessionId, SessionInfo } from "../SessionInfo.ts"
import * as Turn from "../Turn.ts"
import * as Paths from "../wire/Paths.ts"
import * as Input from "./calls/Input.ts"
import { type CallInfo, callOf } from "./calls/Operation.ts"
import * as Sessions from "./calls/Sessions.ts"
import * as Turns from "./calls/Turns.ts"
import type { Items } from "./exchange/EventStreamReader.ts"
import * as StreamFailure from "./failure/StreamFailure.ts"
import * as PartStream from "./PartStream.ts"
import type { Protocol } from "./Protocol.ts"
import * as Invocation from "./telemetry/Invocation.ts"
import * as SessionSpan from "./telemetry/SessionSpan.ts"
import * as StructuredOutput from "./StructuredOutput.ts"
import { TurnPermit } from "./TurnPermit.ts"

/** How long the next turn waits for the cancel of the turn before it. */
const cancelBound = Duration.seconds(5)

type Status = { readonly _tag: "Open" | "Closing" } | { readonly _tag: "Closed"; readonly by: "client" | "server" }

const open: Status = { _tag: "Open" }
const closing: Status = { _tag: "Closing" }

/** Whether a scope owns the session, and the span of a session that one does. */
interface Ownership {
  readonly owned: boolean
  readonly span: SessionSpan.SessionSpan | undefined
}

/** Methods are on the prototype, so that a handle costs only its fields. */
export class SessionHandle extends Inspectable.Class implements Session {
  readonly info: SessionInfo
  // Private at runtime too: nothing of the client shows in a printed handle.
  readonly #protocol: Protocol
  readonly #ownership: Ownership
  readonly #permit = new TurnPermit()
  readonly #closed = Deferred.makeUnsafe<"client" | "server">()
  #status: Status = open
  #deleting: Deferred.Deferred<void, CloseError> | undefined = undefined

  constructor(protocol: Protocol, info: SessionInfo, ownership: Ownership) {
    super()
    this.info = info
    this.#protocol = protocol
    this.#ownership = ownership
  }

  get id(): SessionId {
    return this.info.id
  }

  get span(): SessionSpan.SessionSpan | undefined {
    return this.#ownership.span
  }

  turn(prompt: string, options?: Turn.TurnOptions): Effect.Effect<Turn.Turn, TurnError> {
    return turnOf(this, prompt, options)
  }

  turnAs<S extends Schema.Constraint>(
    schema: S,
    prompt: string,
    options?: Turn.TurnAsOptions
  ): Effect.Effect<Turn.Structured<S["Type"]>, TurnAsError, S["DecodingServices"]> {
    return turnAsOf(this, schema, prompt, options)
  }

  stream(prompt: string, options?: Turn.StreamOptions): Stream.Stream<Turn.Part, TurnError> {
    return streamOf(this, prompt, options)
  }

  get cancel(): Effect.Effect<boolean, CancelError> {
    return SessionSpan.request(this.span, this.#protocol.cancelTurn(this.id))
  }

  get state(): Effect.Effect<LiveState, StateError> {
    return SessionSpan.request(this.span, this.#protocol.getSession(this.id))
  }

  get diff(): Effect.Effect<string, DiffError> {
    return SessionSpan.request(this.span, this.#protocol.getDiff(this.id))
  }

  get files(): SessionFiles {
    const { list, read, write } = this.#protocol.files(this.id)
    return {
      list: (options) => SessionSpan.request(this.span, list(options)),
      read,
      write: (path, content, options) => SessionSpan.request(this.span, write(path, content, options))
    }
  }

  get close(): Effect.Effect<void, CloseError> {
    return SessionSpan.request(this.span, this.#delete)
  }

  get closed(): Effect.Effect<"client" | "server"> {
    return Deferred.await(this.#closed)
  }

  override toJSON(): unknown {
    return { _id: "Session", ...this.info, status: this.#status._tag }
  }

  get isClosed(): boolean {
    return this.#status._tag === "Closed"
  }

  /** Fails unless the session is open. */
  get checkOpen(): Effect.Effect<void, SessionClosed> {
    return Effect.suspend(() => (this.#status._tag === "Open" ? Effect.void : Effect.fail(this.#closedError())))
  }

  /** Sends a turn when it has the permit, if the session is still open then. */
  send(turn: Turns.PreparedTurn): Effect.Effect<Turn.Turn, TurnError> {
    return turn.delivery.queueTimeout === undefined
      ? this.#permit.run(Effect.andThen(this.checkOpen, this.sendHeld(turn)))
      : Effect.scoped(Effect.andThen(this.hold(turn), this.sendHeld(turn)))
  }

  /** Sends a turn of a caller that has the permit. */
  sendHeld(turn: Turns.PreparedTurn): Effect.Effect<Turn.Turn, TurnError> {
    return this.#protocol.turn(this.id, turn, (key) => this.#cancelLater(key))
  }

  /** Opens the stream of a turn when it has the permit, which the stream holds until its scope closes. */
  open(turn: Turns.PreparedTurn): Effect.Effect<Items<Turn.Turn, TurnError>, TurnError, Scope.Scope> {
    const opened = this.#protocol.streamTurn(this.id, turn, (key) =>
      turn.delivery.onInterrupt === "cancel" ? this.#cancelLater(key) : Effect.void
    )
    return this.hold(turn).pipe(
      Effect.andThen(opened),
      Effect.map(({ next }) => ({ next: this.#permit.pull(next) }))
    )
  }

  /** Takes the permit within the turn's bound, if the session is still open then. */
  hold({ delivery: { queueTimeout } }: Turns.PreparedTurn): Effect.Effect<void, TurnError, Scope.Scope> {
    const held =
      queueTimeout === undefined
        ? this.#permit.hold
        : Effect.timeoutOrElse(this.#permit.hold, {
            duration: queueTimeout,
            orElse: () => Effect.fail(StreamFailure.queueTimeout(this.call, queueTimeout))
          })
    return Effect.andThen(held, this.checkOpen)
  }

  get call(): CallInfo {
    return callOf(Turns.send, { path: Paths.turn.of(this.id) })
  }

  /** Refuses a turn of the fiber that reads the stream of the turn in flight: it would wait for itself. */
  get checkReader(): Effect.Effect<void, ApiError<422>> {
    return Effect.withFiber((fiber) =>
      this.#permit.isReadBy(fiber) ? Input.refuse(this.call, [ownReader]) : Effect.void
    )
  }

  /** Fails a turn that found the session closed. Where the server did, it is closed: by this handle if it is closing it. */
  markClosed({ by }: SessionClosed): Effect.Effect<never, SessionClosed> {
    if (by === "server") this.finish(this.#status._tag === "Open" ? "server" : "client")
    return Effect.andThen(this.#permit.releaseAll, Effect.fail(this.#closedError()))
  }

  /** The session is closed. */
  finish(by: "client" | "server"): void {
    if (this.isClosed) return
    this.#status = { _tag: "Closed", by }
    Deferred.doneUnsafe(this.#closed, Effect.succeed(by))
  }

  /** The scope of the session has ended. Where its close failed, it can still be closed by hand. */
  released(): void {
    Deferred.doneUnsafe(this.#closed, Effect.succeed("client"))
  }

  #closedError(): SessionClosed {
    const by = this.#status._tag === "Closed" ? this.#status.by : "client"
    return new SessionClosed({ sessionId: this.id, by })
  }

  /**
   * Cancels an abandoned turn on a server that can, by the turn's key: the turn in flight there may be another handle's.
   * A session that is closing needs no cancel.
   */
  #cancelLater(key: string): Effect.Effect<void> {
    return Effect.suspend(() => {
      if (this.#status._tag !== "Open") return Effect.void
      const cancel = Effect.flatMap(this.#protocol.health, ({ features }) =>
        features.includes("cancel") ? this.#protocol.cancelTurn(this.id, key) : Effect.void
      )
      return Effect.map(this.#protocol.background(Effect.timeoutOption(cancel, cancelBound)), (fiber) =>
        this.#permit.awaitCancel(fiber)
      )
    })
  }

  /** Sends one DELETE for all concurrent callers of `close`. */
  get #delete(): Effect.Effect<void, CloseError> {
    // An interrupt between marking the session and sending the request would leave the other callers waiting forever.
    return Effect.uninterruptibleMask((restore) => {
      if (this.isClosed) return Effect.void
      if (this.#deleting !== undefined) return restore(Deferred.await(this.#deleting))
      const deleting = Deferred.makeUnsafe<void, CloseError>()
      this.#status = closing
      this.#deleting = deleting
      const sent = Effect.onExit(this.#deleteOnce, (exit) => this.#deleted(deleting, exit))
      return this.#permit.releaseAll.pipe(
        Effect.andThen(this.#protocol.background(sent)),
        Effect.andThen(restore(Deferred.await(deleting)))
      )
    })
  }

  get #deleteOnce(): Effect.Effect<void, CloseError> {
    return Sessions.acceptClosed(this.#protocol.closeSession(this.id), this.#ownership)
  }

  #deleted(deleting: Deferred.Deferred<void, CloseError>, exit: Exit.Exit<void, CloseError>): Effect.Effect<void> {
    this.#deleting = undefined
    if (Exit.isSuccess(exit)) this.finish("client")
    return Effect.asVoid(Deferred.done(deleting, exit))
  }
}

const ownReader: Issue = {
  path: [],
  message: "this fiber reads the stream of another turn of the session: read it to its end first"
}

/** What stands before every turn. */
const prepareTurn = Effect.fnUntraced(function* (
  self: SessionHandle,
  prompt: string,
  options: Turn.TurnOptions | Turn.StreamOptions | undefined
) {
  const prepared = yield* Turns.prepare(prompt, options)
  yield* self.checkReader
  return prepared
})

const turnOf = Effect.fnUntraced(function* (
  self: SessionHandle,
  prompt: string,
  options: Turn.TurnOptions | undefined
) {
  const prepared = yield* prepareTurn(self, prompt, options)
  const sent = self.checkOpen.pipe(
    Effect.andThen(self.send(prepared)),
    Effect.catchTag("SessionClosed", (closed) => self.markClosed(closed))
  )
  return yield* Invocation.turn(self.info, self.span, prepared.prompt, sent)
})

const turnAsOf = <S extends Schema.Constraint>(
  self: SessionHandle,
  schema: S,
  prompt: string,
  options: Turn.TurnAsOptions | undefined
) => {
  const orClosed = <A, R>(effect: Effect.Effect<A, TurnError, R>): Effect.Effect<A, TurnError, R> =>
    Effect.catchTag(effect, "SessionClosed", (closed) => self.markClosed(closed))
  const turns: StructuredOutput.SessionTurns = {
    call: self.call,
    hold: (prepared) =>
      self.checkReader.pipe(Effect.andThen(self.checkOpen), Effect.andThen(self.hold(prepared)), orClosed),
    send: (prepared) => Invocation.turn(self.info, self.span, prepared.prompt, orClosed(self.sendHeld(prepared)))
  }
  return StructuredOutput.run(turns, schema, prompt, options)
}

const streamOf = (self: SessionHandle, prompt: string, options: Turn.StreamOptions | undefined) =>
  Stream.unwrap(
    Effect.map(prepareTurn(self, prompt, options), (prepared) => {
      const orClosed = <A, R>(effect: Effect.Effect<A, TurnError, R>): Effect.Effect<A, TurnError, R> =>
        Effect.catchTag(effect, "SessionClosed", (closed) => self.markClosed(closed))
      return PartStream.make({
        begin: Invocation.beginTurn(self.info, self.span, prepared.prompt),
        open: self.checkOpen.pipe(
          Effect.andThen(self.open(prepared)),
          orClosed,
          Effect.map(({ next }) => ({ next: orClosed(next) }))
        ),
        after: prepared.delivery.after,
        done: (turn) => Turn.Done({ turn })
      })
    })
  )
