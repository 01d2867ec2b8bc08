/**
 * A whole server in this process, for the suite to run against.
 */
import { Effect, Layer, Redacted } from "effect"
import { HttpClient } from "effect/http"
import * as DemoAgent from "../../src/agent/DemoAgent.ts"
import * as ForgeServer from "../../src/server/ForgeServer.ts"
import { home } from "./Home.ts"
import { limits } from "./Limits.ts"
import * as Repository from "./Repository.ts"
import { newAdminToken, Server } from "./Server.ts"

/** A whole server in this process. */
export const server = Layer.unwrap(
  Effect.gen(function* () {
    const adminToken = newAdminToken()
    const { board, repository } = Repository.make(yield* home)
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
