/**
 * `forge serve`: a server of the whole contract.
 */
import { Config, Console, Duration, Effect, Option, Path } from "effect"
import { Command, Flag } from "effect/cli"
import { ForgeServer, layer as layerServer } from "../server/ForgeServer.ts"
import * as AdminSecret from "./AdminSecret.ts"
import * as AgentsTable from "./AgentsTable.ts"
import { UsageError } from "./Failure.ts"
import * as Signals from "./Signals.ts"
import * as Values from "./Values.ts"

const names = (name: string, description: string) =>
  Flag.String(name).pipe(Flag.withDescription(description), Flag.atLeast(0))

const flags = {
  listen: Values.address("listen").pipe(
    Flag.withDescription("Where to listen; port 0 takes a free one"),
    Flag.withDefault({ host: "127.0.0.1", port: 8800 })
  ),
  data: Flag.String("data").pipe(
    Flag.withMetavar("folder"),
    Flag.withDescription("Where everything is kept ($XDG_STATE_HOME/clawdforge)"),
    Flag.optional
  ),
  agents: Flag.String("agents").pipe(
    Flag.withMetavar("file"),
    Flag.withDescription("The agents, as JSON: name → {command, env?, passEnv?, wrap?, permissions?}"),
    Flag.optional
  ),
  adminTokenFile: Flag.String("admin-token-file").pipe(
    Flag.withMetavar("file"),
    Flag.withDescription("A file with the admin token, instead of CLAWDFORGE_ADMIN_TOKEN"),
    Flag.optional
  ),
  permissions: Flag.Literals("permissions", ["allow", "deny"]).pipe(
    Flag.withDescription("What agents that ask are answered (allow, where only this machine is served)"),
    Flag.optional
  ),
  maxLiveSessions: Values.count("max-live-sessions").pipe(
    Flag.withDescription("How many sessions may be open"),
    Flag.withDefault(64)
  ),
  maxAppSessions: Values.count("max-app-sessions").pipe(
    Flag.withDescription("How many of them may be one app's (all)"),
    Flag.optional
  ),
  maxAppTurns: Values.count("max-app-turns").pipe(
    Flag.withDescription("How many turns of one app may run at once (all)"),
    Flag.optional
  ),
  maxProcesses: Values.count("max-processes").pipe(
    Flag.withDescription("How many agent processes may live at once"),
    Flag.withDefault(16)
  ),
  sleepAfter: Values.span("sleep-after").pipe(
    Flag.withDescription("How long an agent that has nothing to do keeps its process"),
    Flag.withDefault(Duration.minutes(10))
  ),
  maxRuns: Values.count("max-runs").pipe(Flag.withDescription("How many runs may be under way"), Flag.withDefault(4)),
  sessionTtl: Values.span("session-ttl").pipe(
    Flag.withDescription("How long a session may be idle (CLAWDFORGE_SESSION_TTL_SECS, 1 hour)"),
    Flag.optional
  ),
  hardTtl: Values.span("hard-ttl").pipe(
    Flag.withDescription("How long a closed session is kept (CLAWDFORGE_SESSION_HARD_TTL_SECS, 1 day)"),
    Flag.optional
  ),
  maxUpload: Values.size("max-upload").pipe(Flag.withDescription("How large a file may be (100MB)"), Flag.optional),
  maxAppUploads: Values.size("max-app-uploads").pipe(
    Flag.withDescription("How much room the files of one app may take together (1GB)"),
    Flag.optional
  ),
  maxTurnTimeout: Values.span("max-turn-timeout").pipe(
    Flag.withDescription("How long a turn or a run may take at most"),
    Flag.withDefault(Duration.minutes(10))
  ),
  grace: Values.span("grace").pipe(
    Flag.withDescription("How long turns may go on when the server ends"),
    Flag.withDefault(Duration.seconds(10))
  ),
  durable: Flag.Boolean("durable").pipe(
    Flag.withDescription("Wait for the disk, so that a loss of power costs nothing that was told"),
    Flag.withDefault(false)
  ),
  allowedHost: names("allowed-host", "A name by which the server may be called, beside its address"),
  corsOrigin: names("cors-origin", "An origin whose web pages may use the server"),
  trustProxy: names("trust-proxy", "A network of proxies whose X-Forwarded-For is believed")
} as const

/** A hundred years, in seconds: what is never to end has no longer to live. */
const longestTtl = 3_155_760_000

/** Seconds in a variable of the environment. */
const seconds = (name: string) =>
  Config.Number(name).pipe(
    Config.option,
    Effect.mapError(() => new UsageError({ message: `${name} is not a number of seconds` })),
    Effect.filterOrFail(
      Option.match({ onNone: () => true, onSome: (value) => value >= 0 && value <= longestTtl }),
      () => new UsageError({ message: `${name} must be from 0 to ${longestTtl} seconds` })
    ),
    Effect.map(Option.map(Duration.seconds))
  )

/** A variable of the environment, empty where it is not set. */
const text = (name: string) =>
  Config.String(name).pipe(
    Config.withDefault(""),
    Effect.orElseSucceed(() => "")
  )

const allowedCidrs = Effect.map(text("ALLOW_CIDRS"), (list) => list.split(/[\s,]+/).filter((cidr) => cidr !== ""))

const defaultData = Effect.gen(function* () {
  const path = yield* Path.Path
  const state = yield* text("XDG_STATE_HOME")
  // A relative one is to be ignored, as the specification of these folders says.
  if (path.isAbsolute(state)) return path.join(state, "clawdforge")
  const home = yield* Config.String("HOME").pipe(
    Effect.mapError(() => new UsageError({ message: "there is no HOME to keep data in: name a folder with --data" }))
  )
  return path.join(home, ".local", "state", "clawdforge")
})

type Settings = Command.Command.Config.Infer<typeof flags>

/** Whether agents may act is decided by whoever lets others than this machine in. */
const permissionsOf = Effect.fnUntraced(function* ({ listen, permissions }: Settings) {
  if (Values.isLoopback(listen)) return Option.getOrElse(permissions, () => "allow" as const)
  if (Option.isNone(permissions)) {
    return yield* new UsageError({
      message: `${listen.host} can be reached from other machines: say with --permissions what agents may do`
    })
  }
  yield* Effect.logWarning("tokens and prompts travel unencrypted: put a proxy with TLS in front")
  return permissions.value
})

const optionsOf = Effect.fnUntraced(function* (settings: Settings) {
  if (Option.contains(settings.data, "")) {
    return yield* new UsageError({ message: "--data is empty: name a folder" })
  }
  // The first thing, so that it is gone from the environment before anything else is started.
  const adminToken = yield* AdminSecret.load(settings.adminTokenFile)
  const permissions = yield* permissionsOf(settings)
  const sessionTtl = yield* seconds("CLAWDFORGE_SESSION_TTL_SECS")
  const hardTtl = yield* seconds("CLAWDFORGE_SESSION_HARD_TTL_SECS")
  return {
    ...settings.listen,
    adminToken,
    agents: yield* AgentsTable.load({ file: settings.agents, permissions }),
    data: Option.isSome(settings.data) ? settings.data.value : yield* defaultData,
    allowedCidrs: yield* allowedCidrs,
    allowedHosts: settings.allowedHost,
    corsOrigins: settings.corsOrigin,
    trustedProxies: settings.trustProxy,
    maxOpenSessions: settings.maxLiveSessions,
    maxAppSessions: Option.getOrUndefined(settings.maxAppSessions),
    maxAppTurns: Option.getOrUndefined(settings.maxAppTurns),
    maxProcesses: settings.maxProcesses,
    sleepAfter: settings.sleepAfter,
    maxRuns: settings.maxRuns,
    sessionTtl: Option.getOrUndefined(Option.orElse(settings.sessionTtl, () => sessionTtl)),
    hardTtl: Option.getOrUndefined(Option.orElse(settings.hardTtl, () => hardTtl)),
    durable: settings.durable,
    maxUpload: Option.getOrUndefined(settings.maxUpload),
    maxAppUploads: Option.getOrUndefined(settings.maxAppUploads),
    maxTimeout: settings.maxTurnTimeout,
    grace: settings.grace,
    logRequests: true
  }
})

const run = Effect.gen(function* () {
  const { url } = yield* ForgeServer
  yield* Console.log(`listening ${url}`)
  return yield* Effect.never
})

export const command = Command.make(
  "serve",
  flags,
  Effect.fnUntraced(function* (settings) {
    const options = yield* optionsOf(settings)
    yield* Signals.watch
    return yield* Effect.provide(run, layerServer(options))
  }, Effect.scoped)
).pipe(Command.withDescription("Run a server of the whole contract"))
