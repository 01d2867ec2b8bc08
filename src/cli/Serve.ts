/**
 * `forge serve`: a server of the whole contract.
 */
import { ByteSize, Config, Console, Duration, Effect, Option, Path } from "effect"
import { CliError, Command, Flag } from "effect/cli"
import * as Networks from "../server/access/Networks.ts"
import { ForgeServer, layer as layerServer, type Options } from "../server/ForgeServer.ts"
import * as Timeouts from "../server/Timeouts.ts"
import * as AdminSecret from "./AdminSecret.ts"
import * as AgentsTable from "./AgentsTable.ts"
import { UsageError } from "./Failure.ts"
import * as Signals from "./Signals.ts"
import * as Values from "./Values.ts"

/** A variable of the environment, empty where it is not set. */
const text = (name: string) => Effect.orElseSucceed(Config.String(name), () => "")

/** A time in the environment, in seconds. */
const seconds = Effect.fnUntraced(function* (variable: string, byDefault: Duration.Duration) {
  const given = yield* text(variable)
  if (given === "") return byDefault
  const span = /^[\d.]+$/.test(given) ? Values.spanOf(given) : Option.none()
  if (Option.isSome(span)) return span.value
  return yield* new CliError.ValidationError({
    message: `${variable} is "${given}": it must be seconds, from 0 to ${Duration.toSeconds(Values.longest)}`
  })
})

/** A flag is named after the option that it sets, but for those that `optionsOf` makes options of. */
type Flags = {
  readonly [Name in keyof Options | "adminTokenFile" | "listen" | "permissions"]?: Flag.Flag<unknown>
}

const flags = {
  listen: Values.address("listen").pipe(
    Flag.withDescription("Where to listen; port 0 takes a free one (default 127.0.0.1:8800)"),
    Flag.withDefault({ host: "127.0.0.1", port: 8800 })
  ),
  adminTokenFile: Values.path("admin-token-file", "file").pipe(
    Flag.withDescription("The admin token, in a file of mode 600 (default CLAWDFORGE_ADMIN_TOKEN)"),
    Flag.optional
  ),
  data: Values.path("data", "folder").pipe(
    Flag.withDescription("Where everything is kept (default $XDG_STATE_HOME/clawdforge)"),
    Flag.optional
  ),
  agents: Values.path("agents", "file").pipe(
    Flag.withDescription("JSON: name → {command, env?, passEnv?, wrap?, permissions?} (default demo, claude)"),
    Flag.optional
  ),
  permissions: Flag.Literals("permissions", ["allow", "deny"]).pipe(
    Flag.withDescription(
      "How agents that ask for permission are answered (default allow, if only this machine can call)"
    ),
    Flag.optional
  ),
  allowedHosts: Values.host("allowed-host").pipe(
    Flag.withDescription("A name by which the server may be called, besides its address; any port; repeatable"),
    Flag.atLeast(0)
  ),
  corsOrigins: Values.origin("cors-origin").pipe(
    Flag.withDescription("An origin whose web pages may use the server; repeatable"),
    Flag.atLeast(0)
  ),
  trustedProxies: Values.network("trust-proxy").pipe(
    Flag.withDescription("A network of proxies whose X-Forwarded-For is believed; repeatable"),
    Flag.atLeast(0)
  ),
  maxOpenSessions: Values.count("max-live-sessions").pipe(
    Flag.withDescription("How many sessions may be open (default 64)"),
    Flag.withDefault(64)
  ),
  maxAppSessions: Values.count("max-app-sessions").pipe(
    Flag.withDescription("How many of them one app may have (default all)"),
    Flag.withDefault(undefined)
  ),
  maxAppTurns: Values.count("max-app-turns").pipe(
    Flag.withDescription("How many turns of one app may run at once (default as many as sessions)"),
    Flag.withDefault(undefined)
  ),
  maxAppStreams: Values.count("max-app-streams").pipe(
    Flag.withDescription("How many of them may be read as event streams (default 128)"),
    Flag.withDefault(128)
  ),
  maxRuns: Values.count("max-runs").pipe(
    Flag.withDescription("How many runs may be under way (default 4)"),
    Flag.withDefault(4)
  ),
  maxProcesses: Values.count("max-processes").pipe(
    Flag.withDescription("How many agent processes may live at once (default 16)"),
    Flag.withDefault(16)
  ),
  startTimeout: Values.span("start-timeout", Duration.seconds(1)).pipe(
    Flag.withDescription("How long an agent may take for each step of its start (default 30 seconds)"),
    Flag.withDefault(Duration.seconds(30))
  ),
  sleepAfter: Values.span("sleep-after").pipe(
    Flag.withDescription("How long an agent that has nothing to do keeps its process (default 10 minutes)"),
    Flag.withDefault(Duration.minutes(10))
  ),
  maxTimeout: Values.span("max-turn-timeout", Timeouts.minimum).pipe(
    Flag.withDescription("How long a turn or a run may take at most (default 10 minutes)"),
    Flag.withDefault(Duration.minutes(10))
  ),
  keyedCallLinger: Values.span("keyed-call-linger").pipe(
    Flag.withDescription("How long a call with an Idempotency-Key goes on without its client (default 30 seconds)"),
    Flag.withDefault(Duration.seconds(30))
  ),
  sessionTtl: Values.span("session-ttl").pipe(
    Flag.withDescription("How long a session may be idle (default CLAWDFORGE_SESSION_TTL_SECS or 1 hour)"),
    Flag.withDefault(seconds("CLAWDFORGE_SESSION_TTL_SECS", Duration.hours(1)))
  ),
  hardTtl: Values.span("hard-ttl").pipe(
    Flag.withDescription("How long a closed session is kept (default CLAWDFORGE_SESSION_HARD_TTL_SECS or 1 day)"),
    Flag.withDefault(seconds("CLAWDFORGE_SESSION_HARD_TTL_SECS", Duration.days(1)))
  ),
  maxUpload: Values.size("max-upload").pipe(
    Flag.withDescription("How large a file may be (default 100MB)"),
    Flag.withDefault(ByteSize.megabytes(100))
  ),
  maxAppUploads: Values.size("max-app-uploads").pipe(
    Flag.withDescription("How much room the files of one app may take together (default 1GB)"),
    Flag.withDefault(ByteSize.gigabytes(1))
  ),
  grace: Values.span("grace").pipe(
    Flag.withDescription("How long turns may go on when the server ends (default 10 seconds)"),
    Flag.withDefault(Duration.seconds(10))
  ),
  durable: Flag.Boolean("durable").pipe(
    Flag.withDescription("Wait for the disk, so that a loss of power costs nothing that was told"),
    Flag.withDefault(false)
  )
} as const satisfies Flags

const allowedCidrs = Effect.gen(function* () {
  const cidrs = (yield* text("ALLOW_CIDRS")).split(/[\s,]+/).filter((cidr) => cidr !== "")
  yield* Effect.mapError(Networks.make(cidrs), ({ message }) => new UsageError({ message: `ALLOW_CIDRS: ${message}` }))
  return cidrs
})

const defaultData = Effect.gen(function* () {
  const path = yield* Path.Path
  const state = yield* text("XDG_STATE_HOME")
  // A relative one is to be ignored, as the specification of these folders says.
  if (path.isAbsolute(state)) return path.join(state, "clawdforge")
  const home = yield* text("HOME")
  if (!path.isAbsolute(home)) {
    return yield* new UsageError({ message: "there is no HOME to keep data in: name a folder with --data" })
  }
  return path.join(home, ".local", "state", "clawdforge")
})

type Settings = Command.Command.Config.Infer<typeof flags>

/** Whoever lets other machines in has to say whether agents may act. */
const permissionsOf = Effect.fnUntraced(function* ({ listen, permissions }: Pick<Settings, "listen" | "permissions">) {
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
  const { adminTokenFile, agents: file, data, listen, permissions: given, ...others } = settings
  // The first thing, so that it is gone from the environment before anything else is started.
  const adminToken = yield* AdminSecret.load(adminTokenFile)
  const permissions = yield* permissionsOf({ listen, permissions: given })
  return {
    ...others,
    ...listen,
    adminToken,
    agents: yield* AgentsTable.load({ file, permissions }),
    data: Option.isSome(data) ? data.value : yield* defaultData,
    allowedCidrs: yield* allowedCidrs,
    logRequests: true
  } satisfies Options
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
    // boundary: the files that the server and its agents make, wherever that is, are nobody else's
    yield* Effect.sync(() => process.umask(0o077))
    yield* Signals.watch
    return yield* Effect.provide(run, layerServer(options))
  }, Effect.scoped)
).pipe(
  Command.withDescription(
    "Run a server of the whole contract. Only this machine may call it, and the networks in ALLOW_CIDRS."
  ),
  Command.withShortDescription("Run a server of the whole contract"),
  Command.withExamples([
    {
      command: "(umask 077; openssl rand -hex 32 > admin.token); forge serve --admin-token-file admin.token",
      description: "For this machine"
    },
    {
      command:
        "ALLOW_CIDRS=10.0.0.0/8 forge serve --admin-token-file admin.token --listen 10.0.0.5:8800 --permissions deny --allowed-host forge.example --trust-proxy 10.0.0.2/32",
      description: "For a network, behind a proxy with TLS"
    }
  ])
)
