/**
 * The servers that the suite is held against.
 */
import { ByteSize, Config, Effect, Layer, Option, Redacted } from "effect"
import { HttpClient } from "effect/http"
import * as DemoAgent from "../../src/agent/DemoAgent.ts"
import * as NodeForgeClient from "../../src/node/NodeForgeClient.ts"
import * as ForgeServer from "../../src/server/ForgeServer.ts"
import * as Served from "./Served.ts"
import { Server } from "./Server.ts"

/** Low enough that a case can reach them, high enough that cases do not meet them by chance. */
const bounds = { sessions: 14, appSessions: 5, appTurns: 2, upload: 200_000, runs: 8, processes: 32 }

/** A whole server in this process. */
export const embedded = Layer.unwrap(
  Effect.sync(() => {
    const adminToken = Served.newToken()
    const http = ForgeServer.layerHttpClient({
      adminToken: Redacted.make(adminToken),
      agents: [
        DemoAgent.definition,
        { ...DemoAgent.definition, name: "claude" },
        { name: "broken", command: ["/nonexistent/agent"], permissions: "deny" }
      ],
      maxOpenSessions: bounds.sessions,
      maxAppSessions: bounds.appSessions,
      maxAppTurns: bounds.appTurns,
      maxUpload: ByteSize.bytes(bounds.upload),
      maxRuns: bounds.runs,
      maxProcesses: bounds.processes
    })
    const server = Effect.flatMap(HttpClient.HttpClient, (http) =>
      Server.make({ url: "http://embedded", http, adminToken, agent: "demo", has: ["demo", "broken", "small", "here"] })
    )
    return Layer.provide(Layer.effect(Server, server), http)
  })
)

const flags = [
  `--max-live-sessions=${bounds.sessions}`,
  `--max-app-sessions=${bounds.appSessions}`,
  `--max-app-turns=${bounds.appTurns}`,
  `--max-upload=${bounds.upload}`,
  `--max-runs=${bounds.runs}`,
  `--max-processes=${bounds.processes}`
]

/** `forge serve`, within bounds that the suite can reach. */
export const serve = (options: Pick<Served.Options, "home" | "node" | "env">) =>
  Served.serve({ ...options, adminToken: Served.newToken(), flags })

/** A server of this package's, over a socket. */
export const over = Effect.fnUntraced(function* ({ adminToken, url }: Served.Served) {
  const http = yield* HttpClient.HttpClient
  return yield* Server.make({ url, http, adminToken, agent: "demo", has: ["demo", "small", "socket"] })
})

const inItsHome = Effect.flatMap(Served.home, (home) => serve({ home }))

export const served = Layer.effect(Server, Effect.flatMap(inItsHome, over)).pipe(
  Layer.provide(NodeForgeClient.layerHttpClient)
)

const settings = Config.all({
  url: Config.String("CLAWDFORGE_URL"),
  appToken: Config.String("CLAWDFORGE_TOKEN").pipe(Config.option),
  adminToken: Config.String("CLAWDFORGE_ADMIN_TOKEN").pipe(Config.option),
  agent: Config.String("CLAWDFORGE_AGENT").pipe(Config.withDefault("demo"))
})

/**
 * Any server, by `CLAWDFORGE_URL`, with `CLAWDFORGE_TOKEN` or `CLAWDFORGE_ADMIN_TOKEN` or both. Its sessions are those of
 * `CLAWDFORGE_AGENT`; only of the demo agent it is known what its turns answer.
 */
export const byUrl = Effect.gen(function* () {
  const http = yield* HttpClient.HttpClient
  const { adminToken, agent, appToken, url } = yield* settings
  return yield* Server.make({
    url: url.replace(/\/$/, ""),
    http,
    agent,
    appToken: Option.getOrUndefined(appToken),
    adminToken: Option.getOrUndefined(adminToken),
    has: [...(url.startsWith("http:") ? ["socket" as const] : []), ...(agent === "demo" ? ["demo" as const] : [])]
  })
})
