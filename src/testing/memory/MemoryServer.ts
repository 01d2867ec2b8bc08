/**
 * The server in memory: the HTTP side of a real one, and its engine, over storage and agents that need no machine.
 */
import { Effect, Layer, Redacted } from "effect"
import * as Digest from "effect/crypto/Digest"
import * as SecureRandom from "effect/crypto/SecureRandom"
import { HttpClient, HttpRouter, HttpServer } from "effect/http"
import { NotReady } from "../../api/Errors.ts"
import { sentences } from "../../wire/Failures.ts"
import type { SessionId } from "../../wire/Ids.ts"
import { AdminToken } from "../../server/access/AdminAccess.ts"
import { AppTokens } from "../../server/access/AppTokens.ts"
import { NotANetwork, Networks } from "../../server/access/Networks.ts"
import * as AgentPool from "../../server/agents/AgentPool.ts"
import * as Calls from "../../server/calls/Calls.ts"
import type * as UploadLimits from "../../server/files/UploadLimits.ts"
import * as CallResponse from "../../server/http/CallResponse.ts"
import * as InProcess from "../../server/http/InProcess.ts"
import * as Routes from "../../server/http/Routes.ts"
import * as Runs from "../../server/runs/Runs.ts"
import * as LocalSessionEngine from "../../server/sessions/LocalSessionEngine.ts"
import * as McpHosts from "../../server/sessions/McpHosts.ts"
import { SessionEngine } from "../../server/sessions/SessionEngine.ts"
import { Sealed } from "../../server/storage/Sealed.ts"
import { WorkingDirectories } from "../../server/storage/WorkingDirectories.ts"
import * as Shutdown from "../../server/Shutdown.ts"
import * as Timeouts from "../../server/Timeouts.ts"
import { Readiness } from "../../server/upkeep/Readiness.ts"
import * as Sweeper from "../../server/upkeep/Sweeper.ts"
import * as Agents from "../Agents.ts"
import type * as Counter from "../Counter.ts"
import type { Choose } from "../Script.ts"
import * as ScriptedCalls from "../ScriptedCalls.ts"
import * as MemoryAppTokens from "./MemoryAppTokens.ts"
import * as MemoryFolders from "./MemoryFolders.ts"
import * as MemoryKeptAnswers from "./MemoryKeptAnswers.ts"
import * as MemoryLedger from "./MemoryLedger.ts"
import * as MemoryUploads from "./MemoryUploads.ts"
import * as MemoryWorkspaces from "./MemoryWorkspaces.ts"
import type { Store } from "./Store.ts"

/** The limits and times of the server, as those of a real one. */
export interface Limits
  extends
    AgentPool.Options,
    Calls.Options,
    CallResponse.Options,
    LocalSessionEngine.Options,
    McpHosts.Options,
    Runs.Options,
    Sweeper.Options,
    Timeouts.Options,
    UploadLimits.Options {}

export interface Options extends Limits {
  readonly store: Store
  readonly agents: ReadonlyArray<Agents.FakeAgent>
  readonly handed: Counter.Counter
  readonly choose: Choose
  readonly prompts: Array<ScriptedCalls.Prompt>
  readonly adminToken: Redacted.Redacted | undefined
  readonly workspaces: ReadonlyArray<MemoryWorkspaces.FakeWorkspace>
}

/** The name of the app whose token the fake's own client has. */
const ownApp = "test"

/** Its digests are for comparisons within one process, which the data itself does as well. */
const digest = Layer.succeed(
  Digest.Digest,
  Digest.Digest.of({
    digest: (_, data) => Effect.sync(() => data.slice()),
    digestHex: (_, data) => Effect.sync(() => new TextDecoder().decode(data))
  })
)

const directories = (store: Store) =>
  Layer.succeed(
    WorkingDirectories,
    WorkingDirectories.of({
      ofSession: (sessionId) => `/sessions/${sessionId}`,
      make: () => Effect.void,
      remove: (sessionId) =>
        Effect.sync(() => {
          const gone = [...store.files.keys()].filter((path) => path.startsWith(`/sessions/${sessionId}/`))
          for (const path of gone) store.files.delete(path)
        }),
      keepOnly: () => Effect.void,
      removeRuns: Effect.void,
      ofRun: Effect.succeed("/runs")
    })
  )

const isNetwork = (cidr: string): boolean => {
  const { bits, network = "" } = /^(?<network>[0-9a-f.:]+)\/(?<bits>\d{1,3})$/i.exec(cidr)?.groups ?? {}
  return network !== "" && Number(bits) <= (network.includes(":") ? 128 : 32)
}

/** Requests to the fake come from no address, so no network contains them. */
const sealed = Layer.succeed(
  Sealed,
  Sealed.of({ seal: (text) => Effect.succeed(text), open: (text) => Effect.succeedSome(text) })
)

const networks = Layer.succeed(
  Networks,
  Networks.of({
    parse: (cidrs) => {
      const wrong = cidrs.find((cidr) => !isNetwork(cidr))
      return wrong === undefined
        ? Effect.succeed({ contains: () => false })
        : Effect.fail(new NotANetwork({ cidr: wrong, cause: undefined }))
    }
  })
)

const readiness = Layer.effect(
  Readiness,
  Effect.map(Shutdown.Shutdown, ({ isUnderWay }) =>
    Readiness.of({
      check: Effect.flatMap(isUnderWay, (underWay) =>
        underWay ? Effect.fail(new NotReady({ detail: sentences.shuttingDown })) : Effect.void
      )
    })
  )
)

/** It sweeps when it is asked to, and not by the clock, which a test may set forward by years. */
const sweeper = (options: Options) => Layer.effect(Sweeper.Sweeper, Sweeper.make(options))

const admin = (adminToken: Redacted.Redacted | undefined) =>
  Layer.succeed(
    AdminToken,
    AdminToken.of({
      matches: (token) =>
        Effect.sync(() => adminToken !== undefined && Redacted.value(adminToken) === Redacted.value(token))
    })
  )

const services = (options: Options) => {
  const { adminToken, agents, choose, handed, prompts, store, workspaces } = options
  const engine = Layer.merge(LocalSessionEngine.layer(options), Runs.layer(options))
  return Layer.mergeAll(Calls.layer(options), sweeper(options), readiness, admin(adminToken)).pipe(
    Layer.provideMerge(ScriptedCalls.layer({ choose, store, prompts }).pipe(Layer.provide(engine))),
    Layer.provideMerge(
      Layer.mergeAll(
        Agents.layer(agents, handed),
        AgentPool.layer(options),
        CallResponse.layer(options),
        MemoryAppTokens.layer(store),
        MemoryFolders.layer(store),
        MemoryKeptAnswers.layer(store),
        MemoryLedger.layer(store),
        Layer.provide(ScriptedCalls.uploads, MemoryUploads.layer(store, options)),
        MemoryWorkspaces.layer(store, workspaces),
        McpHosts.layer(options),
        sealed,
        Shutdown.layer,
        Timeouts.layer(options),
        directories(store),
        networks
      )
    ),
    Layer.provideMerge(Layer.merge(digest, SecureRandom.layerWebCrypto))
  )
}

/** The server as an `HttpClient`, with the token of an app of its own. */
export const make = Effect.fnUntraced(function* (options: Options) {
  const context = yield* Layer.build(
    Layer.mergeAll(
      services(options),
      HttpServer.layerServices,
      Layer.succeed(HttpRouter.RouterConfig, Routes.routerConfig)
    )
  )
  return yield* Effect.gen(function* () {
    const engine = yield* SessionEngine
    const { sweep } = yield* Sweeper.Sweeper
    const tokens = yield* AppTokens
    const shutdown = yield* Shutdown.Shutdown
    const token = yield* tokens.renew(ownApp)
    const httpEffect = yield* HttpRouter.toHttpEffect(Routes.layer(Layer.empty))
    const client: HttpClient.HttpClient = yield* InProcess.untilClosed(InProcess.make(httpEffect))
    yield* Effect.addFinalizer(() => shutdown.begin(0))
    return {
      /** What a real server's clock has closed and deleted is gone before each request. */
      client: HttpClient.mapRequestEffect(client, (request) => Effect.as(sweep, request)),
      sweep,
      token,
      close: (sessionId: SessionId) => Effect.asVoid(Effect.orDie(engine.close(sessionId)))
    }
  }).pipe(Effect.provideContext(context))
}, Effect.orDie)
