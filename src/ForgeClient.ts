/**
 * The client of one clawdforge server: one method for each thing that the server can do.
 *
 * Programs use `Forge`, which opens sessions in a `Scope` and orders their turns. This service is what stands behind it:
 * the stateless protocol, which sends, reads, maps failures, repeats what may be repeated, and owns the work that
 * outlives its caller.
 */
import { Config, Context, Deferred, Duration, Effect, Exit, Fiber, Layer, Redacted, type Scope } from "effect"
import type { HttpClient } from "effect/http"
import * as Sessions from "./api/schema/Sessions.ts"
import * as Turns from "./api/schema/Turns.ts"
import {
  ApiError,
  type CloseError,
  type CreateError,
  type HealthError,
  type ListError,
  SessionClosed,
  type StateError,
  type TurnError
} from "./ForgeError.ts"
import type { Health } from "./Health.ts"
import * as Background from "./internal/Background.ts"
import * as Exchange from "./internal/Exchange.ts"
import * as Operations from "./internal/Operations.ts"
import type { RetryOptions } from "./internal/Retry.ts"
import * as Settings from "./internal/Settings.ts"
import type { LiveState, SessionId, SessionInfo, SessionOptions, SessionState } from "./SessionInfo.ts"
import * as Turn from "./Turn.ts"

/** A session that is being created. */
export interface PendingSession {
  /** Waits for it. An interrupt ends the waiting, not the creating. */
  readonly join: Effect.Effect<SessionInfo, CreateError>
  /** Gives it up: it is not tried again, and if the server made it all the same, it is closed in the background. */
  readonly abandon: Effect.Effect<void>
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
    readonly health: Effect.Effect<Health, HealthError>

    /** Begins to create a session in the background. `Forge.session` puts it in a scope. */
    readonly createSession: (options?: SessionOptions) => Effect.Effect<PendingSession>

    /** The sessions of this app, newest first. */
    readonly listSessions: (options?: ListOptions) => Effect.Effect<ReadonlyArray<SessionState>, ListError>

    /** One session as the server sees it. */
    readonly getSession: (id: SessionId) => Effect.Effect<LiveState, StateError>

    /** One turn. Nothing orders the turns of a session here: `Session.turn` does. */
    readonly turn: (id: SessionId, prompt: string, options?: Turn.TurnOptions) => Effect.Effect<Turn.Turn, TurnError>

    /** Closes a session; closing it again is no failure. */
    readonly closeSession: (id: SessionId) => Effect.Effect<void, CloseError>

    /** Runs work that outlives its caller; the client's layer waits for it when it shuts down, up to a bound. */
    readonly background: Background.Background
  }
>()("effect-clawdforge/ForgeClient") {}

/** How a client is made. */
export interface Options {
  /** Where the server is: `http://127.0.0.1:8800` by default. A path prefix is kept. */
  readonly url?: string | URL | undefined
  /** The app token, `cf_…`. */
  readonly token: Redacted.Redacted
  /** The bounds of repeating calls; `false` never repeats one. */
  readonly retry?: RetryOptions | false | undefined
}

const defaultUrl = "http://127.0.0.1:8800"
const createDeadline = Duration.seconds(60)
const callDeadline = Duration.seconds(30)
const closeDeadline = Duration.seconds(5)
const shutdownBound = Duration.seconds(5)

// ---------------------------------------------------------------------------------------------------------------------
// Constructors
// ---------------------------------------------------------------------------------------------------------------------

/**
 * Makes a client over any `HttpClient`. It holds the background work of its scope: on release it waits for that, for five
 * seconds at most.
 */
export const make = Effect.fnUntraced(function* (
  options: Options
): Effect.fn.Return<ForgeClient["Service"], ApiError<422>, HttpClient.HttpClient | Scope.Scope> {
  const url = yield* Settings.url(options.url ?? defaultUrl)
  const token = yield* Settings.token(options.token)
  const send = yield* Exchange.make({ url, token, retry: options.retry })
  const background = yield* Background.make(shutdownBound)

  const createSession = Effect.fnUntraced(function* (options: SessionOptions = {}) {
    const abandoned = yield* Deferred.make<void>()
    const creating = yield* background(create(options, abandoned))
    const closeMade = Effect.flatMap(Fiber.await(creating), (exit) =>
      Exit.isSuccess(exit) ? closeSession(exit.value.id) : Effect.void
    )
    return {
      join: Fiber.join(creating),
      abandon: Deferred.succeed(abandoned, undefined).pipe(Effect.andThen(background(closeMade)), Effect.asVoid)
    }
  })

  const create = Effect.fnUntraced(function* (options: SessionOptions, abandoned: Deferred.Deferred<void>) {
    const body = yield* Operations.encodeCreate(options)
    return yield* send(Operations.createSession, { body, deadline: createDeadline, abandoned })
  })

  const closeSession = Effect.fnUntraced(function* (id: SessionId) {
    const path = Sessions.pathOf(yield* Operations.encodeSessionId(Operations.closeSession, id))
    return yield* send(Operations.closeSession, { path, deadline: closeDeadline })
  })

  const turn = Effect.fnUntraced(
    function* (id: SessionId, prompt: string, options: Turn.TurnOptions = {}) {
      const path = Turns.pathOf(yield* Operations.encodeSessionId(Operations.turn, id))
      const body = yield* Operations.encodeTurn(prompt, options)
      const deadline = turnDeadline(Operations.timeoutOf(options))
      return yield* send(Operations.turn, { path, body, deadline, secrets: [prompt, ...(body.files ?? [])] })
    },
    (effect, id) => Effect.catchIf(effect, isGone, () => new SessionClosed({ sessionId: id, by: "server" }))
  )

  return ForgeClient.of({
    health: send(Operations.health, { deadline: callDeadline }),
    createSession,
    listSessions: (options) =>
      send(Operations.listSessions, {
        query: `?include_closed=${options?.includeClosed ?? true}`,
        deadline: callDeadline
      }),
    getSession: Effect.fnUntraced(function* (id) {
      const path = Sessions.pathOf(yield* Operations.encodeSessionId(Operations.getSession, id))
      return yield* send(Operations.getSession, { path, deadline: callDeadline })
    }),
    closeSession,
    turn,
    background
  })
})

/** A turn that the server answers 410. */
const isGone = (error: unknown): boolean => ApiError.is(400)(error) && error.reason.status === 410

/** The server's own answer to a turn that outlives its timeout is to come first. */
const turnDeadline = (timeout: Duration.Duration): Duration.Duration =>
  Duration.max(Duration.sum(timeout, Duration.seconds(30)), Duration.seconds(5))

/** A client as a layer, over the `HttpClient` that it is given. */
export const layer = (options: Options): Layer.Layer<ForgeClient, ApiError<422>, HttpClient.HttpClient> =>
  Layer.effect(ForgeClient, make(options))

/**
 * A client from the environment: `CLAWDFORGE_URL` (`http://127.0.0.1:8800` where it is not set) and `CLAWDFORGE_TOKEN`.
 */
export const layerConfig: Layer.Layer<ForgeClient, ApiError<422> | Config.ConfigError, HttpClient.HttpClient> =
  Layer.effect(
    ForgeClient,
    Effect.flatMap(
      Config.all({
        url: Config.String("CLAWDFORGE_URL").pipe(Config.withDefault(defaultUrl)),
        token: Config.Redacted("CLAWDFORGE_TOKEN")
      }),
      make
    )
  )
