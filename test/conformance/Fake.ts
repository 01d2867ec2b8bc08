/**
 * The fake of `effect-clawdforge/testing`, for the suite to run against.
 */
import { Effect, Layer, Redacted } from "effect"
import { HttpClient } from "effect/http"
import { ForgeTest } from "../../src/testing/index.ts"
import * as FakeDemo from "./FakeDemo.ts"
import { limits } from "./Limits.ts"
import { newAdminToken, Server } from "./Server.ts"

export const server = Layer.unwrap(
  Effect.sync(() => {
    const adminToken = newAdminToken()
    const models = ["demo", "demo-terse"]
    const fake = ForgeTest.layerHttpClient(FakeDemo.script, {
      adminToken: Redacted.make(adminToken),
      agents: [
        { name: "demo", models },
        { name: "claude", models },
        { name: "broken", broken: "Agent broken could not be started: there is no program /nonexistent/agent." }
      ],
      workspaces: [
        { name: "repository", refs: ["main"] },
        { name: "board", shared: true }
      ],
      mcpHosts: ["mcp.test"],
      ...limits
    })
    const made = Effect.gen(function* () {
      const http = yield* HttpClient.HttpClient
      const { url } = yield* ForgeTest.ForgeTest
      return yield* Server.make({
        url,
        http,
        adminToken,
        agent: "demo",
        has: ["demo", "broken", "mcp", "repository", "small"]
      })
    })
    return Layer.provide(Layer.effect(Server, made), fake)
  })
)
