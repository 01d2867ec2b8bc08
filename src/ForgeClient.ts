/**
 * The client of one clawdforge server, as a service: what programs use, and what tests replace.
 *
 * Programs call it through `Forge`. It is built over any `HttpClient`: `NodeForgeClient` brings Node's, `layer` takes the
 * runtime's own.
 *
 * **Example** (Swapping in a fake for a test)
 *
 * ```ts
 * import { Effect, Layer } from "effect"
 * import { Forge, ForgeClient } from "effect-clawdforge"
 *
 * const noSessions = Layer.mock(ForgeClient.ForgeClient, { sessions: () => Effect.succeed([]) })
 *
 * const count = Forge.sessions().pipe(
 *   Effect.map((sessions) => sessions.length),
 *   Effect.provide(noSessions)
 * ) // => 0
 * ```
 */
import { type Config, Context, Effect, Layer, type Redacted, type Scope, type Stream } from "effect"
import type { HttpClient } from "effect/http"
import type { Agent } from "./Agents.ts"
import type {
  AgentsError,
  ApiError,
  CreateError,
  HealthError,
  ListError,
  RunError,
  StateError,
  UploadError
} from "./ForgeError.ts"
import type { Health } from "./Health.ts"
import * as Protocol from "./internal/Protocol.ts"
import * as SessionList from "./internal/SessionList.ts"
import * as SessionLifetime from "./internal/SessionLifetime.ts"
import * as Settings from "./internal/Settings.ts"
import type { RetryPolicy } from "./RetryPolicy.ts"
import type { Part as RunPart, Run, RunOptions, RunStreamOptions } from "./Run.ts"
import type { Session } from "./Session.ts"
import type { ListOptions, SessionFilter, SessionId, SessionOptions, SessionState } from "./SessionInfo.ts"
import type { Source, UploadedFile, UploadOptions } from "./Upload.ts"

/** Everything that a program can ask of a clawdforge server. */
export interface Service {
  /**
   * Opens a session and closes it when the scope ends, by success, failure or interruption.
   *
   * The sessions of one scope close in parallel: the scope waits for all of them together, 5 seconds at most. That neither fails the program nor hides how it failed: a session that could not be
   * closed is logged as a warning and counted, and the server closes it once it has been idle for long enough.
   * Interrupting the opening returns at once; a session that the server creates all the same is closed in the background.
   */
  readonly session: (options?: SessionOptions) => Effect.Effect<Session, CreateError, Scope.Scope>

  /**
   * Opens a session that no scope closes: keep its id, and close it with `close`, or leave it to the server, which closes it
   * once it has been idle for long enough.
   */
  readonly open: (options?: SessionOptions) => Effect.Effect<Session, CreateError>

  /**
   * Borrows a session by its id. Nothing closes it at the end; two handles on one session are ordered only by the server. A
   * handle on a closed session can read its state; its turns fail with `SessionClosed`.
   */
  readonly attach: (id: SessionId) => Effect.Effect<Session, StateError>

  /** The newest sessions of this app, newest first: 1,000 at most, unless `limit` is another number. */
  readonly sessions: (options?: ListOptions) => Effect.Effect<ReadonlyArray<SessionState>, ListError>

  /**
   * All sessions of this app, newest first, read page by page as they are taken. Sessions that are opened meanwhile are not
   * in it.
   */
  readonly sessionsStream: (options?: SessionFilter) => Stream.Stream<SessionState, ListError>

  /** Runs one prompt without a session. */
  readonly run: (prompt: string, options?: RunOptions) => Effect.Effect<Run, RunError>

  /** The same with the events of the run as they happen, and the run as the last part. See `Session.stream`. */
  readonly runStream: (prompt: string, options?: RunStreamOptions) => Stream.Stream<RunPart, RunError>

  /** Uploads a file while it is read. It also fails with the errors of its source. */
  readonly upload: <E, R>(
    source: Source<E, R>,
    options?: UploadOptions
  ) => Effect.Effect<UploadedFile, E | UploadError, R>

  /** The agents of the server, what they offer, and which is the default. A server that does not name `agents` answers 404. */
  readonly agents: Effect.Effect<ReadonlyArray<Agent>, AgentsError>

  /** Whether the server is alive, its versions, and what it adds to the contract. Needs no token. */
  readonly health: Effect.Effect<Health, HealthError>
}

/** The client of one clawdforge server. */
export class ForgeClient extends Context.Service<ForgeClient, Service>()("effect-clawdforge/ForgeClient") {}

/** What a client can be built with, besides its address and token. */
export interface ClientOptions {
  /** The bounds of retries; `false` never retries. */
  readonly retry?: RetryPolicy | false | undefined
  /**
   * Whether requests carry a `traceparent`, with which the server continues their trace: true by default.
   *
   * Set it to false for a server that must not know of your traces, and in a browser for a server on another origin that
   * does not allow the header: the browser would send nothing to it.
   */
  readonly propagateTrace?: boolean | undefined
  /**
   * Transforms the `HttpClient` that sends the requests, which by then have their URL and bearer: to add headers, to record,
   * to limit a rate. Retries belong in `retry`, which knows what may be sent twice.
   */
  readonly transformClient?: ((client: HttpClient.HttpClient) => HttpClient.HttpClient) | undefined
}

/** How a client is built. */
export interface Options extends ClientOptions {
  /** Where the server is: `http://127.0.0.1:8800` by default. A path prefix is kept. */
  readonly url?: string | URL | undefined
  /** The app token, `cf_…`. */
  readonly token: Redacted.Redacted
}

/** How a client is built from configuration. */
export interface ConfigOptions extends ClientOptions {
  /** Where the server is: `CLAWDFORGE_URL` by default, and `http://127.0.0.1:8800` where that is not set. */
  readonly url?: Config.Config<string | URL> | undefined
  /** The token; by default from the environment: `CLAWDFORGE_TOKEN`, for the administration `CLAWDFORGE_ADMIN_TOKEN`. */
  readonly token?: Config.Config<Redacted.Redacted> | undefined
}

// ---------------------------------------------------------------------------------------------------------------------
// Constructors
// ---------------------------------------------------------------------------------------------------------------------

/**
 * Makes a client over any `HttpClient`. When its scope ends, sessions that are still open are closed, and background work
 * is awaited, for five seconds at most.
 */
export const make = Effect.fnUntraced(function* (
  options: Options
): Effect.fn.Return<Service, ApiError<422>, HttpClient.HttpClient | Scope.Scope> {
  const protocol = yield* Protocol.make(yield* Settings.check(options))
  return ForgeClient.of({
    session: (options) => SessionLifetime.acquire(protocol, options),
    open: (options) => SessionLifetime.openUnscoped(protocol, options),
    attach: (id) => SessionLifetime.attach(protocol, id),
    sessions: (options) => SessionList.upTo(protocol, options),
    sessionsStream: (options) => SessionList.stream(protocol, options),
    run: protocol.run,
    runStream: protocol.streamRun,
    upload: protocol.upload,
    agents: protocol.agents,
    health: protocol.health
  })
})

/** A client as a layer, over the `HttpClient` that it is given. */
export const layer = (options: Options): Layer.Layer<ForgeClient, ApiError<422>, HttpClient.HttpClient> =>
  Layer.effect(ForgeClient, make(options))

/**
 * A client from configuration: by default from `CLAWDFORGE_URL` and `CLAWDFORGE_TOKEN`.
 *
 * **Example** (The environment, and retries of its own)
 *
 * ```ts
 * import { ForgeClient } from "effect-clawdforge"
 *
 * const layer = ForgeClient.layerConfig({ retry: { times: 5 } })
 * ```
 */
export const layerConfig = (
  options?: ConfigOptions
): Layer.Layer<ForgeClient, ApiError<422> | Config.ConfigError, HttpClient.HttpClient> =>
  Layer.effect(
    ForgeClient,
    Effect.flatMap(Settings.load("CLAWDFORGE_TOKEN", options), (loaded) => make({ ...options, ...loaded }))
  )
