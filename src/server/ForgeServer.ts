/**
 * A clawdforge server, over a socket or embedded in this process.
 */
import * as NodeCrypto from "@effect/platform-node/NodeCrypto"
import * as NodeHttpServer from "@effect/platform-node/NodeHttpServer"
import * as NodeServices from "@effect/platform-node/NodeServices"
import { Context, type Duration, Effect, Layer, type Redacted } from "effect"
import { HttpClient, HttpRouter, HttpServer } from "effect/http"
import { Migrator, SqlError } from "effect/sql"
import type { StorageUnavailable } from "../api/Errors.ts"
import { Watchdog } from "../agent/process/Watchdog.ts"
import * as ForgeClient from "../ForgeClient.ts"
import * as AdminAccess from "./access/AdminAccess.ts"
import * as AgentPool from "./agents/AgentPool.ts"
import * as AgentPrograms from "./agents/AgentPrograms.ts"
import * as AppTokens from "./access/AppTokens.ts"
import * as DataFolder from "./storage/DataFolder.ts"
import * as InProcess from "./http/InProcess.ts"
import * as KeyFileSealed from "./storage/KeyFileSealed.ts"
import * as LaunchedAgents from "./agents/LaunchedAgents.ts"
import * as Calls from "./calls/Calls.ts"
import * as DiskReadiness from "./upkeep/DiskReadiness.ts"
import { Ledger, type SessionEvent } from "./storage/Ledger.ts"
import * as Listener from "./http/Listener.ts"
import * as LinuxFolders from "./folders/LinuxFolders.ts"
import * as LocalSessionEngine from "./sessions/LocalSessionEngine.ts"
import * as LocalWorkspaces from "./workspaces/LocalWorkspaces.ts"
import * as McpHosts from "./sessions/McpHosts.ts"
import * as Migrations from "./storage/Migrations.ts"
import * as NetworkAccess from "./access/NetworkAccess.ts"
import * as NodeNetworks from "./access/NodeNetworks.ts"
import * as NodeSqlite from "./storage/NodeSqlite.ts"
import * as Owner from "./storage/Owner.ts"
import * as RequestSpan from "./http/RequestSpan.ts"
import * as Routes from "./http/Routes.ts"
import * as Runs from "./runs/Runs.ts"
import * as Shutdown from "./Shutdown.ts"
import { StartFailed } from "./StartFailed.ts"
import * as SqlKeptAnswers from "./calls/SqlKeptAnswers.ts"
import * as SqlLedger from "./storage/SqlLedger.ts"
import * as StorageFailure from "./storage/StorageFailure.ts"
import * as Sweeper from "./upkeep/Sweeper.ts"
import * as Timeouts from "./Timeouts.ts"
import * as CallResponse from "./http/CallResponse.ts"
import * as StoredUploads from "./files/StoredUploads.ts"
import type * as UploadLimits from "./files/UploadLimits.ts"

/** A running server. */
export class ForgeServer extends Context.Service<
  ForgeServer,
  {
    /** The base URL, with the actual port. */
    readonly url: string
    /** Creates an app and returns its token, which is not stored and cannot be read again. */
    readonly mint: (name: string) => Effect.Effect<Redacted.Redacted, AppTokens.TokenRefused | StorageUnavailable>
    /** The recorded events of a session, oldest first. */
    readonly history: (sessionId: string) => Effect.Effect<ReadonlyArray<SessionEvent>, StorageUnavailable>
  }
>()("effect-clawdforge/server/ForgeServer") {}

/** The options of any server, embedded or not: its agents, its data folder, and its limits. */
export interface EmbeddedOptions
  extends
    AgentPool.Options,
    LaunchedAgents.Options,
    DataFolder.Options,
    Calls.Options,
    LocalSessionEngine.Options,
    LocalWorkspaces.Options,
    McpHosts.Options,
    NodeSqlite.Settings,
    Runs.Options,
    Sweeper.Options,
    Timeouts.Options,
    CallResponse.Options,
    UploadLimits.Options {}

export interface Options
  extends
    EmbeddedOptions,
    AdminAccess.Options,
    DiskReadiness.Options,
    Listener.Options,
    Routes.Options,
    Omit<NetworkAccess.Options, "host"> {
  /**
   * How long the server may take to shut down; 10 seconds if not given. Turns in flight go on until 4 seconds before its end,
   * the time that it may take to end an agent, or until half of it if it is under 8 seconds.
   */
  readonly grace?: Duration.Input | undefined
}

const ledgerUnusable = "the ledger cannot be used: "

const toStartFailed = (error: { readonly message: string }): StartFailed => {
  if (error instanceof StartFailed) return error
  const isLedgers =
    StorageFailure.isUnavailable(error) || error instanceof Migrator.MigrationError || SqlError.isSqlError(error)
  return new StartFailed({ message: (isLedgers ? ledgerUnusable : "") + error.message, cause: error })
}

/** Reports whatever keeps a server from starting as one error with one sentence. */
const startFailed = <A, E extends { readonly message: string }, R>(
  layer: Layer.Layer<A, E, R>
): Layer.Layer<A, StartFailed, R> => Layer.catch(layer, (error) => Layer.unwrap(Effect.fail(toStartFailed(error))))

const storage = (options: DataFolder.Options & NodeSqlite.Settings) => {
  const database = Layer.unwrap(
    Effect.map(DataFolder.DataFolder, ({ ledger }) => NodeSqlite.layer({ ...options, filename: ledger }))
  )
  return Layer.mergeAll(SqlLedger.layer, SqlKeptAnswers.layer, KeyFileSealed.layer).pipe(
    Layer.provide(Owner.layer),
    Layer.provideMerge(Migrations.layer),
    Layer.provideMerge(database),
    startFailed,
    Layer.provideMerge(DataFolder.layer(options))
  )
}

const engine = (options: EmbeddedOptions & AdminAccess.Options & DiskReadiness.Options) =>
  Layer.merge(DiskReadiness.layer(options), Calls.layer(options)).pipe(
    Layer.provideMerge(AdminAccess.layer(options)),
    Layer.provideMerge(sessions(options)),
    Layer.provideMerge(Shutdown.layer)
  )

const watchdog = Layer.unwrap(
  Effect.map(DataFolder.DataFolder, ({ agents, temporary }) => Watchdog.layer({ records: agents, temporary }))
)

const sessions = (options: EmbeddedOptions) =>
  Sweeper.layer(options).pipe(
    Layer.provideMerge(Layer.merge(LocalSessionEngine.layer(options), Runs.layer(options))),
    Layer.provideMerge(
      Layer.mergeAll(
        StoredUploads.layer(options),
        LinuxFolders.layer,
        LocalWorkspaces.layer(options),
        McpHosts.layer(options)
      )
    ),
    Layer.provideMerge(Timeouts.layer(options)),
    Layer.provideMerge(CallResponse.layer(options)),
    Layer.provideMerge(Layer.merge(AppTokens.layer, NodeNetworks.layer)),
    Layer.provideMerge(Layer.merge(LaunchedAgents.layer(options), AgentPrograms.layer(options))),
    Layer.provideMerge(AgentPool.layer(options)),
    Layer.provide(watchdog),
    Layer.provideMerge(storage(options)),
    Layer.provideMerge(NodeCrypto.layer),
    Layer.provideMerge(NodeServices.layer)
  )

export const make = Effect.fnUntraced(function* (options: Options) {
  const server = yield* HttpServer.HttpServer
  const { allSent } = yield* Listener.Answers
  const shutdown = yield* Shutdown.Shutdown
  const tokens = yield* AppTokens.AppTokens
  const ledger = yield* Ledger
  const { end: timeOver } = yield* NodeSqlite.LockWait
  // Added last, so it runs first, while the server still listens and answers.
  yield* Effect.addFinalizer(() => shutdown.begin(options.grace ?? "10 seconds", { allSent, timeOver }))
  return ForgeServer.of({
    url: HttpServer.formatAddress(server.address),
    mint: tokens.mint,
    history: ledger.listEvents
  })
})

/**
 * A server that listens on a socket.
 *
 * When the layer closes, the server refuses new work, lets turns in flight end within the grace period, and leaves no
 * process behind. Its sessions stay open in the data folder for the next server.
 */
export const layer = (options: Options): Layer.Layer<ForgeServer, StartFailed> => {
  const access = NetworkAccess.layer({ ...options, host: options.host ?? Listener.defaultHost })
  const serve = HttpRouter.serve(Routes.layer(access, options), {
    disableLogger: true,
    disableListenLog: true,
    routerConfig: Routes.routerConfig
  })
  return Layer.effect(ForgeServer, make(options)).pipe(
    Layer.provideMerge(serve),
    Layer.provide(RequestSpan.layerReplace),
    Layer.provide(Listener.layer(options)),
    Layer.provide(NodeHttpServer.layerHttpServices),
    Layer.provide(engine(options)),
    startFailed
  )
}

/** Answers requests in this process, as a server answers them over a socket. */
const makeHttpClient = Effect.gen(function* () {
  const shutdown = yield* Shutdown.Shutdown
  const httpEffect = yield* HttpRouter.toHttpEffect(Routes.layer(Layer.empty))
  const client = yield* InProcess.untilClosed(InProcess.make(httpEffect))
  const { end: timeOver } = yield* NodeSqlite.LockWait
  // A program that closes its embedded server does not wait for turns in flight.
  yield* Effect.addFinalizer(() => shutdown.begin(0, { timeOver }))
  return client
})

const embedded = (options: EmbeddedOptions & AdminAccess.Options) =>
  Layer.effect(HttpClient.HttpClient, makeHttpClient).pipe(
    Layer.provide(NodeHttpServer.layerHttpServices),
    Layer.provide(Layer.succeed(HttpRouter.RouterConfig, Routes.routerConfig)),
    Layer.provideMerge(engine(options)),
    startFailed
  )

/** The whole server in this process, as an `HttpClient`. Requests need a token, as over a socket. */
export const layerHttpClient = (
  options: EmbeddedOptions & AdminAccess.Options
): Layer.Layer<HttpClient.HttpClient, StartFailed> => embedded(options)

const embeddedApp = "embedded"

/** A client of the server in this process. */
const makeEmbedded = Effect.gen(function* () {
  const tokens = yield* AppTokens.AppTokens
  const token = yield* tokens.renew(embeddedApp)
  return yield* ForgeClient.make({ url: "http://embedded", token })
})

/**
 * A server in this process and a client of it, without a socket or a token.
 *
 * Use it in tests, and in programs that need sessions without a separate server.
 */
export const layerEmbedded = (options: EmbeddedOptions): Layer.Layer<ForgeClient.ForgeClient, StartFailed> =>
  Layer.effect(ForgeClient.ForgeClient, makeEmbedded).pipe(Layer.provide(embedded(options)), startFailed)
