/**
 * A whole server in this process, for the suite to run against.
 */
import { ByteSize, Effect, Layer, Redacted } from "effect"
import { HttpClient } from "effect/http"
import * as DemoAgent from "../../src/agent/DemoAgent.ts"
import * as ForgeServer from "../../src/server/ForgeServer.ts"
import * as Repository from "./Repository.ts"
import * as Served from "./Served.ts"
import { newAdminToken, Server } from "./Server.ts"

/** Low enough that a case can reach them, high enough that no case reaches them by accident. */
export const bounds = { sessions: 14, appSessions: 5, appTurns: 2, upload: 200_000, runs: 8, processes: 32 }

/** The same as options. */
export const limits = {
  maxOpenSessions: bounds.sessions,
  maxAppSessions: bounds.appSessions,
  maxAppTurns: bounds.appTurns,
  maxUpload: ByteSize.bytes(bounds.upload),
  maxRuns: bounds.runs,
  maxProcesses: bounds.processes
}

/** A whole server in this process. */
export const server = Layer.unwrap(
  Effect.gen(function* () {
    const adminToken = newAdminToken()
    const { board, repository } = Repository.make(yield* Served.home)
    const http = ForgeServer.layerHttpClient({
      adminToken: Redacted.make(adminToken),
      agents: [
        DemoAgent.definition,
        { ...DemoAgent.definition, name: "claude" },
        { name: "broken", command: ["/nonexistent/agent"], permissions: "deny" }
      ],
      workspaces: [
        { name: "repository", path: repository },
        { name: "board", path: board, shared: true }
      ],
      mcpHosts: ["mcp.test"],
      ...limits
    })
    const made = Effect.flatMap(HttpClient.HttpClient, (http) =>
      Server.make({
        url: "http://embedded",
        http,
        adminToken,
        agent: "demo",
        has: ["demo", "broken", "mcp", "repository", "small", "here"]
      })
    )
    return Layer.provide(Layer.effect(Server, made), http)
  })
)
