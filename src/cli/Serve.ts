/**
 * `forge serve`: its flags, environment variables and defaults, and the server that they configure.
 */
import { ByteSize, Config, Console, Duration, Effect, Option, Path } from "effect"
import { CliError, Command, Flag } from "effect/cli"
import * as NodeNetworks from "../server/access/NodeNetworks.ts"
import { ForgeServer, layer as layerServer, type Options } from "../server/ForgeServer.ts"
import * as UploadLimits from "../server/files/UploadLimits.ts"
import * as Timeouts from "../server/Timeouts.ts"
import * as AdminSecret from "./AdminSecret.ts"
import * as AgentsTable from "./AgentsTable.ts"
import { UsageError } from "./Failure.ts"
import * as Signals from "./Signals.ts"
import * as StartReport from "./StartReport.ts"
import * as Values from "./Values.ts"

/** Reads an environment variable; empty if it is not set. */
const text = (name: string) => Effect.orElseSucceed(Config.String(name), () => "")

/** Reads a duration in seconds from an environment variable. */
const seconds = Effect.fnUntraced(function* (variable: string, byDefault: Duration.Duration) {
  const given = yield* text(variable)
  if (given === "") return byDefault
  const duration = /^[\d.]+$/.test(given) ? Values.durationOf(given) : Option.none()
  if (Option.isSome(duration)) return duration.value
  return yield* new CliError.ValidationError({
    message: `${variable} is "${given}": it must be a number of seconds from 0 to ${Duration.toSeconds(Values.maxDuration)}`
  })
})

/** Each flag has the name of the option that it sets, except those that `optionsOf` converts. */
type Flags = {
  readonly [
    Name in keyof Options | "adminTokenFile" | "listen" | "permissions" | "sharedWorkspaces"
  ]?: Flag.Flag<unknown>
}

const flags = {
  listen: Values.address("listen").pipe(
    Flag.withDescription("The address to listen on; port 0 picks a free one (default 127.0.0.1:8800)"),
    Flag.withDefault({ host: "127.0.0.1", port: 8800 })
  ),
  adminTokenFile: Values.path("admin-token-file", "file").pipe(
    Flag.withDescription("A file of mode 600 with the admin token (default CLAWDFORGE_ADMIN_TOKEN)"),
    Flag.optional
  ),
  data: Values.path("data", "folder").pipe(
    Flag.withDescription("The folder for all data (default $XDG_STATE_HOME/clawdforge)"),
    Flag.optional
  ),
  agents: Values.path("agents", "file").pipe(
    Flag.withDescription(
      "JSON: name → {command, env?, passEnv?, wrap?, authMethod?, permissions?} (default demo, claude)"
    ),
    Flag.optional
  ),
  workspaces: Values.workspace("workspace").pipe(
    Flag.withDescription("A folder for sessions to work in a clone or a copy of, by its name; repeatable"),
    Flag.atLeast(0)
  ),
  sharedWorkspaces: Values.workspace("shared-workspace").pipe(
    Flag.withDescription("The same, for sessions to work in the folder itself, too; repeatable"),
    Flag.atLeast(0)
  ),
  permissions: Flag.Literals("permissions", ["allow", "deny"]).pipe(
    Flag.withDescription("The answer to permission requests of agents (default allow, if only this machine can call)"),
    Flag.optional
  ),
  allowedHosts: Values.host("allowed-host").pipe(
    Flag.withDescription("A host name that clients may use, besides the address; any port; repeatable"),
    Flag.atLeast(0)
  ),
  corsOrigins: Values.origin("cors-origin").pipe(
    Flag.withDescription("An origin whose web pages may use the server; repeatable"),
    Flag.atLeast(0)
  ),
  mcpHosts: Values.host("mcp-host").pipe(
    Flag.withDescription("A host whose MCP servers callers may give to the agents of their sessions; repeatable"),
    Flag.atLeast(0)
  ),
  trustedProxies: Values.network("trust-proxy").pipe(
    Flag.withDescription("A network of proxies whose X-Forwarded-For is trusted; repeatable"),
    Flag.atLeast(0)
  ),
  maxOpenSessions: Values.count("max-live-sessions").pipe(
    Flag.withDescription("The most open sessions (default 64)"),
    Flag.withDefault(64)
  ),
  maxAppSessions: Values.count("max-app-sessions").pipe(
    Flag.withDescription("The most open sessions per app (default --max-live-sessions)"),
    Flag.withDefault(undefined)
  ),
  maxAppTurns: Values.count("max-app-turns").pipe(
    Flag.withDescription("The most turns in flight per app (default --max-live-sessions)"),
    Flag.withDefault(undefined)
  ),
  maxStall: Values.duration("max-stall", Duration.seconds(1)).pipe(
    Flag.withDescription("How long a client may stop sending its request or reading the response (default 60 seconds)"),
    Flag.withDefault(Duration.seconds(60))
  ),
  maxAppStreams: Values.count("max-app-streams").pipe(
    Flag.withDescription("The most open event streams per app (default 128)"),
    Flag.withDefault(128)
  ),
  maxRuns: Values.count("max-runs").pipe(
    Flag.withDescription("The most runs in flight (default 4)"),
    Flag.withDefault(4)
  ),
  maxProcesses: Values.count("max-processes").pipe(
    Flag.withDescription("The most agent processes at a time (default 16)"),
    Flag.withDefault(16)
  ),
  startTimeout: Values.duration("start-timeout", Duration.seconds(1)).pipe(
    Flag.withDescription("The time limit for each step of starting an agent (default 30 seconds)"),
    Flag.withDefault(Duration.seconds(30))
  ),
  sleepAfter: Values.duration("sleep-after").pipe(
    Flag.withDescription("How long an idle agent keeps its process (default 10 minutes)"),
    Flag.withDefault(Duration.minutes(10))
  ),
  maxTimeout: Values.duration("max-turn-timeout", Timeouts.minimum).pipe(
    Flag.withDescription("The longest timeout of a turn or a run (default 10 minutes)"),
    Flag.withDefault(Duration.minutes(10))
  ),
  keyedCallLinger: Values.duration("keyed-call-linger").pipe(
    Flag.withDescription(
      "How long a call with an Idempotency-Key continues after its client disconnects (default 30 seconds)"
    ),
    Flag.withDefault(Duration.seconds(30))
  ),
  maxKeptFrames: Values.size("max-kept-frames").pipe(
    Flag.withDescription(
      "The most event frames that are kept of a call with an Idempotency-Key, for readers that come back (default 4MiB)"
    ),
    Flag.withDefault(ByteSize.mebibytes(4))
  ),
  sessionTtl: Values.duration("session-ttl").pipe(
    Flag.withDescription(
      "How long a session may be idle before it is closed (default CLAWDFORGE_SESSION_TTL_SECS or 1 hour)"
    ),
    Flag.withDefault(seconds("CLAWDFORGE_SESSION_TTL_SECS", Duration.hours(1)))
  ),
  hardTtl: Values.duration("hard-ttl").pipe(
    Flag.withDescription(
      "How long a closed session is kept before it is deleted (default CLAWDFORGE_SESSION_HARD_TTL_SECS or 1 day)"
    ),
    Flag.withDefault(seconds("CLAWDFORGE_SESSION_HARD_TTL_SECS", Duration.days(1)))
  ),
  maxUpload: Values.size("max-upload").pipe(
    Flag.withDescription("The largest file (default 100MB, or --max-app-uploads if that is less)"),
    Flag.withDefault(undefined)
  ),
  maxAppUploads: Values.size("max-app-uploads").pipe(
    Flag.withDescription("The total size of the files of one app (default 1GB)"),
    Flag.withDefault(ByteSize.gigabytes(1))
  ),
  grace: Values.duration("grace").pipe(
    Flag.withDescription(
      "How long a shutdown may take; turns in flight are cancelled 4 seconds before (default 10 seconds)"
    ),
    Flag.withDefault(Duration.seconds(10))
  ),
  durable: Flag.Boolean("durable").pipe(
    Flag.withDescription(
      "Flush to disk before each response, so that a power loss loses nothing that was acknowledged"
    ),
    Flag.withDefault(false)
  )
} as const satisfies Flags

const allowedCidrs = Effect.gen(function* () {
  const cidrs = (yield* text("ALLOW_CIDRS")).split(/[\s,]+/).filter((cidr) => cidr !== "")
  yield* Effect.mapError(
    NodeNetworks.parse(cidrs),
    ({ message }) => new UsageError({ message: `ALLOW_CIDRS: ${message}` })
  )
  return cidrs
})

const defaultData = Effect.gen(function* () {
  const path = yield* Path.Path
  const state = yield* text("XDG_STATE_HOME")
  // The XDG specification says to ignore a relative path.
  if (path.isAbsolute(state)) return path.join(state, "clawdforge")
  const home = yield* text("HOME")
  if (!path.isAbsolute(home)) {
    return yield* new UsageError({ message: "there is no HOME for the data: name a folder with --data" })
  }
  return path.join(home, ".local", "state", "clawdforge")
})

type Settings = Command.Command.Config.Infer<typeof flags>

/** On an address that other machines can reach, `--permissions` is required. */
const permissionsOf = Effect.fnUntraced(function* ({ listen, permissions }: Pick<Settings, "listen" | "permissions">) {
  if (Values.isLoopback(listen)) return Option.getOrElse(permissions, () => "allow" as const)
  if (Option.isNone(permissions)) {
    return yield* new UsageError({
      message: `${listen.host} can be reached from other machines: set --permissions to allow or deny`
    })
  }
  yield* Effect.logWarning("tokens and prompts travel unencrypted: put a proxy with TLS in front")
  return permissions.value
})

/** The workspaces of the flags, whose folders may be relative to where the server is started. */
const workspacesOf = Effect.fnUntraced(function* ({
  sharedWorkspaces,
  workspaces
}: Pick<Settings, "sharedWorkspaces" | "workspaces">) {
  const path = yield* Path.Path
  const all = [...workspaces, ...sharedWorkspaces.map((root) => ({ ...root, shared: true }))]
  const twice = all.find(({ name }, index) => all.findIndex((other) => other.name === name) !== index)
  if (twice !== undefined) {
    return yield* new UsageError({ message: `two workspaces have the name ${twice.name}: name each once` })
  }
  return all.map((root) => ({ ...root, path: path.resolve(root.path) }))
})

const optionsOf = Effect.fnUntraced(function* (settings: Settings) {
  const {
    adminTokenFile,
    agents: file,
    data,
    listen,
    permissions: given,
    sharedWorkspaces: _shared,
    ...others
  } = settings
  // First, so that it is removed from the environment before any process is started.
  const adminToken = yield* AdminSecret.load(adminTokenFile)
  yield* Effect.mapError(UploadLimits.checkLimits(others), ({ message }) => new UsageError({ message }))
  const permissions = yield* permissionsOf({ listen, permissions: given })
  const agents = yield* AgentsTable.load({ file, permissions })
  const found = yield* StartReport.findAgents(agents)
  const options = {
    ...others,
    ...listen,
    adminToken,
    agents,
    workspaces: yield* workspacesOf(settings),
    data: Option.isSome(data) ? data.value : yield* defaultData,
    allowedCidrs: yield* allowedCidrs,
    logRequests: true
  } satisfies Options
  return { options, report: { ...options, agents: found, permissions } }
})

const run = Effect.fnUntraced(function* (report: Omit<StartReport.Report, "url">) {
  const { url } = yield* ForgeServer
  yield* StartReport.log({ ...report, url })
  yield* Console.log(`listening ${url}`)
  return yield* Effect.never
})

export const command = Command.make(
  "serve",
  flags,
  Effect.fnUntraced(function* (settings) {
    const { options, report } = yield* optionsOf(settings)
    // boundary: files created by the server and its agents are private to this user
    yield* Effect.sync(() => process.umask(0o077))
    yield* Signals.watch
    return yield* Effect.provide(run(report), layerServer(options))
  }, Effect.scoped)
).pipe(
  Command.withDescription("Run a server. It accepts calls from this machine and from the networks in ALLOW_CIDRS."),
  Command.withShortDescription("Run a server"),
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
