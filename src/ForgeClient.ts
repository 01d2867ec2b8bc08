/**
 * The client of one clawdforge server: one method for each thing that the server can do.
 *
 * Programs use `Forge`, which opens sessions in a `Scope` and orders their turns. This service is what stands behind it:
 * the stateless protocol, which sends, reads, maps failures, repeats what may be repeated, and owns the work that
 * outlives its caller.
 */
import { type Config, Context, Deferred, Duration, Effect, Exit, Fiber, Layer, type Redacted, Scope } from "effect"
import { HttpBody, type HttpClient } from "effect/http"
import * as SessionsWire from "./wire/Sessions.ts"
import * as TurnsWire from "./wire/Turns.ts"
import {
  ApiError,
  type CancelError,
  type CloseError,
  type CreateError,
  type HealthError,
  type ListError,
  type RunError,
  SessionClosed,
  type StateError,
  type TurnError,
  type UploadError
} from "./ForgeError.ts"
import type * as HealthInfo from "./Health.ts"
import * as Background from "./internal/Background.ts"
import * as Exchange from "./internal/exchange/Exchange.ts"
import * as Invocation from "./internal/telemetry/Invocation.ts"
import * as Multipart from "./internal/exchange/Multipart.ts"
import * as Files from "./internal/calls/Files.ts"
import * as Health from "./internal/calls/Health.ts"
import * as Runs from "./internal/calls/Runs.ts"
import * as Sessions from "./internal/calls/Sessions.ts"
import * as Turns from "./internal/calls/Turns.ts"
import * as Settings from "./internal/Settings.ts"
import * as Unclosed from "./internal/telemetry/CloseFailure.ts"
import type { RetryPolicy } from "./RetryPolicy.ts"
import type { Run, RunOptions } from "./Run.ts"
import type { LiveState, SessionId, SessionInfo, SessionOptions, SessionState } from "./SessionInfo.ts"
import type { Turn, TurnOptions } from "./Turn.ts"
import type * as Upload from "./Upload.ts"

/** A session that is being created. */
export interface PendingSession {
  /** Waits for it. An interrupt ends the waiting, not the creating. */
  readonly join: Effect.Effect<SessionInfo, CreateError>
  /** Gives it up: it is not tried again, and if the server made it all the same, it is closed in the background. */
  readonly abandon: Effect.Effect<void>
}

/** How a turn is sent, beside what goes with its prompt. */
export interface SendOptions extends TurnOptions {
  /**
   * Run with the turn's key when it is interrupted while the agent may be at work on it: not where it was refused, and
   * waits to be repeated.
   */
  readonly onAbandoned?: ((key: string) => Effect.Effect<void>) | undefined
}

/** Which turn a cancel is about. */
export interface CancelOptions {
  /** The key of the turn, which `SendOptions.onAbandoned` is given; the turn that is under way if there is none. */
  readonly key?: string | undefined
}

/** Which sessions a list shows. */
export interface ListOptions {
  /** Closed ones too: true by default. */
  readonly includeClosed?: boolean | undefined
}

/**
 * The client of one clawdforge server.
 *
 * **Example** (Swapping in a fake for a test)
 *
 * ```ts
 * import { Effect, Layer } from "effect"
 * import { ForgeClient } from "effect-clawdforge"
 *
 * const noSessions = Layer.mock(ForgeClient.ForgeClient, { listSessions: () => Effect.succeed([]) })
 *
 * const count = ForgeClient.ForgeClient.use((client) => client.listSessions()).pipe(
 *   Effect.map((sessions) => sessions.length),
 *   Effect.provide(noSessions)
 * ) // => 0
 * ```
 */
export class ForgeClient extends Context.Service<
  ForgeClient,
  {
    /** Whether the server is alive, its versions, and what it adds to the contract. Needs no token. */
    readonly health: Effect.Effect<HealthInfo.Health, HealthError>

    /** Begins to create a session in the background. `Forge.session` puts it in a scope. */
    readonly createSession: (options?: SessionOptions) => Effect.Effect<PendingSession>

    /** The sessions of this app, newest first. */
    readonly listSessions: (options?: ListOptions) => Effect.Effect<ReadonlyArray<SessionState>, ListError>

    /** One session as the server sees it. */
    readonly getSession: (id: SessionId) => Effect.Effect<LiveState, StateError>

    /** One turn. Nothing orders the turns of a session here: `Session.turn` does. */
    readonly turn: (id: SessionId, prompt: string, options?: SendOptions) => Effect.Effect<Turn, TurnError>

    /**
     * Ends the turn that is under way, which then answers with `cancelled`; says whether there was one. A server that does
     * not name `cancel` answers 404. With a key it is that turn and no other; if the turn still waits for its place on the
     * server, it is dropped unsent.
     */
    readonly cancelTurn: (id: SessionId, options?: CancelOptions) => Effect.Effect<boolean, CancelError>

    /** One prompt, one answer, no session. */
    readonly run: (prompt: string, options?: RunOptions) => Effect.Effect<Run, RunError>

    /** Uploads a file as it is read. It fails also with what reading the file fails with. */
    readonly upload: <E, R>(
      source: Upload.Source<E, R>,
      options?: Upload.UploadOptions
    ) => Effect.Effect<Upload.UploadedFile, E | UploadError, R>

    /** Closes a session; closing it again is no failure. */
    readonly closeSession: (id: SessionId) => Effect.Effect<void, CloseError>

    /** What the client ends with: sessions that are still held by then are closed before it is gone. */
    readonly scope: Effect.Effect<Scope.Scope>

    /** Runs work that outlives its caller; the client's layer waits for it when it shuts down, up to a bound. */
    readonly background: <A, E, R>(effect: Effect.Effect<A, E, R>) => Effect.Effect<Fiber.Fiber<A, E>, never, R>
  }
>()("effect-clawdforge/ForgeClient") {}

/** How a client is made. */
export interface Options {
  /** Where the server is: `http://127.0.0.1:8800` by default. A path prefix is kept. */
  readonly url?: string | URL | undefined
  /** The app token, `cf_…`. */
  readonly token: Redacted.Redacted
  /** The bounds of repeating calls; `false` never repeats one. */
  readonly retry?: RetryPolicy | false | undefined
}

// ---------------------------------------------------------------------------------------------------------------------
// Constructors
// ---------------------------------------------------------------------------------------------------------------------

/** How long a shutdown waits for what runs in the background. */
const shutdownBound = Duration.seconds(5)

/**
 * Makes a client over any `HttpClient`. It holds the background work of its scope: on release it waits for that, for five
 * seconds at most.
 */
export const make = Effect.fnUntraced(function* (
  options: Options
): Effect.fn.Return<ForgeClient["Service"], ApiError<422>, HttpClient.HttpClient | Scope.Scope> {
  const url = yield* Settings.url(options.url)
  const token = yield* Settings.token(options.token)
  const bounds = yield* Settings.retry(options.retry)
  const send = yield* Exchange.make({ url, token, bounds })
  const background = yield* Background.make(shutdownBound)
  // Each of them may take its time to close.
  const sessions = yield* Scope.fork(yield* Effect.scope, "parallel")
  const boundary = Multipart.boundary()

  const closeSession = Effect.fnUntraced(function* (id: SessionId) {
    const path = SessionsWire.pathOf(yield* Sessions.encodeId(Sessions.close, id))
    return yield* send(Sessions.close, { path })
  })

  /** Of a session that was made, and that nobody got. */
  const closeUnheld = (id: SessionId) =>
    Unclosed.tellFailure(id, Sessions.acceptClosed(closeSession(id), { owned: true }))

  const closeMisshapen = Effect.fnUntraced(function* (created: unknown) {
    if (Sessions.namesSession(created)) yield* background(closeUnheld(created.session_id))
  })

  const create = Effect.fnUntraced(function* (options: SessionOptions, abandoned: Deferred.Deferred<void>) {
    const body = HttpBody.jsonUnsafe(yield* Sessions.encodeCreate(options))
    if (Sessions.addedOptions(options).length > 0) {
      const { features } = yield* send(Health.get, {})
      if (!features.includes("session_options")) return yield* Sessions.refuseAdded(options)
    }
    const secrets = options.system === undefined ? [] : [options.system]
    const onAbandoned = () => Unclosed.tellUnanswered
    return yield* send(Sessions.create, { body, abandoned, secrets, onMisshapen: closeMisshapen, onAbandoned })
  })

  const createSession = Effect.fnUntraced(function* (options: SessionOptions = {}) {
    const abandoned = yield* Deferred.make<void>()
    const creating = yield* background(create(options, abandoned))
    const closeMade = Effect.flatMap(Fiber.await(creating), (exit) =>
      Exit.isSuccess(exit) ? closeUnheld(exit.value.id) : Effect.void
    )
    return {
      join: Fiber.join(creating),
      abandon: Deferred.succeed(abandoned, undefined).pipe(Effect.andThen(background(closeMade)), Effect.asVoid)
    }
  })

  const getSession = Effect.fnUntraced(function* (id: SessionId) {
    const path = SessionsWire.pathOf(yield* Sessions.encodeId(Sessions.get, id))
    return yield* send(Sessions.get, { path })
  })

  const turn = Effect.fnUntraced(
    function* (id: SessionId, prompt: string, options: SendOptions = {}) {
      const path = TurnsWire.pathOf(yield* Sessions.encodeId(Turns.send, id))
      const wire = yield* Turns.encode(prompt, options)
      return yield* send(Turns.send, {
        path,
        body: HttpBody.jsonUnsafe(wire),
        deadline: Turns.deadlineOf(Turns.timeoutOf(options)),
        secrets: [prompt, ...(wire.files ?? [])],
        onAbandoned: options.onAbandoned
      })
    },
    (effect, id) => Effect.catchIf(effect, isGone, () => new SessionClosed({ sessionId: id, by: "server" }))
  )

  const cancelTurn = Effect.fnUntraced(function* (id: SessionId, options: CancelOptions = {}) {
    const path = TurnsWire.cancelPathOf(yield* Sessions.encodeId(Turns.cancel, id))
    return yield* send(Turns.cancel, { path, ...(yield* Turns.encodeCancel(options)) })
  })

  const run = Effect.fnUntraced(function* (prompt: string, options: RunOptions = {}) {
    const wire = yield* Runs.encode(prompt, options)
    const sent = send(Runs.send, {
      body: HttpBody.jsonUnsafe(wire),
      deadline: Turns.deadlineOf(Turns.timeoutOf(options)),
      secrets: [prompt, ...(options.system === undefined ? [] : [options.system]), ...(wire.files ?? [])]
    })
    return yield* Invocation.run(prompt, options, sent)
  })

  const upload = Effect.fnUntraced(function* <E, R>(source: Upload.Source<E, R>, options: Upload.UploadOptions = {}) {
    const { timeToLive } = yield* Files.encode(source, options)
    const { failed, readable } = yield* Multipart.observe(Files.measured(source))
    const body = Files.body(readable, boundary, timeToLive)
    const deadline = options.timeout === undefined ? undefined : Duration.fromInputUnsafe(options.timeout)
    return yield* Effect.raceFirst(send(Files.upload, { body, deadline, repeatable: source.rereadable }), failed)
  })

  return ForgeClient.of({
    health: send(Health.get, {}),
    createSession,
    listSessions: (options) => send(Sessions.list, { query: `?include_closed=${options?.includeClosed !== false}` }),
    getSession,
    closeSession,
    turn,
    cancelTurn,
    run,
    upload,
    // Behind a function: as a value, it would be in every printout of the client.
    scope: Effect.map(Effect.void, () => sessions),
    background
  })
})

/** A turn that the server answers 410. */
const isGone = (error: unknown): boolean => ApiError.is(400)(error) && error.reason.status === 410

/** A client as a layer, over the `HttpClient` that it is given. */
export const layer = (options: Options): Layer.Layer<ForgeClient, ApiError<422>, HttpClient.HttpClient> =>
  Layer.effect(ForgeClient, make(options))

/**
 * A client from the environment: `CLAWDFORGE_URL` (`http://127.0.0.1:8800` where it is not set) and `CLAWDFORGE_TOKEN`.
 */
export const layerConfig: Layer.Layer<ForgeClient, ApiError<422> | Config.ConfigError, HttpClient.HttpClient> =
  // Marked for bundlers: where a program has settings of its own, this goes, and `Config` with it.
  /* @__PURE__ */ Layer.effect(
    ForgeClient,
    /* @__PURE__ */ Effect.suspend(() => Effect.flatMap(Settings.config("CLAWDFORGE_TOKEN"), make))
  )
