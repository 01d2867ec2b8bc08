/**
 * The servers that the suite runs against over a socket.
 */
import { Config, Effect, Layer, Option } from "effect"
import { HttpClient } from "effect/http"
import * as NodeForgeClient from "../../src/node/NodeForgeClient.ts"
import { bounds } from "./Limits.ts"
import * as Repository from "./Repository.ts"
import * as Served from "./Served.ts"
import { newAdminToken, Server } from "./Server.ts"

const flags = [
  `--max-live-sessions=${bounds.sessions}`,
  `--max-app-sessions=${bounds.appSessions}`,
  `--max-app-turns=${bounds.appTurns}`,
  `--max-upload=${bounds.upload}`,
  `--max-runs=${bounds.runs}`,
  `--max-processes=${bounds.processes}`
]

/** `forge serve`, within bounds that the suite can reach, with the workspaces that it knows. */
export const serve = (options: Pick<Served.Options, "home" | "node" | "env">) =>
  Effect.suspend(() => {
    const { board, repository } = Repository.make(options.home)
    const workspaces = [
      `--workspace=repository=${repository}`,
      `--shared-workspace=board=${board}`,
      "--mcp-host=mcp.test"
    ]
    return Served.serve({ ...options, adminToken: newAdminToken(), flags: [...flags, ...workspaces] })
  })

/** A server of this package's, over a socket. */
export const over = Effect.fnUntraced(function* ({ adminToken, url }: Served.Served) {
  const http = yield* HttpClient.HttpClient
  return yield* Server.make({
    url,
    http,
    adminToken,
    agent: "demo",
    has: ["demo", "mcp", "repository", "small", "socket"]
  })
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
