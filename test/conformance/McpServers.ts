/**
 * WIRE.md, "What our server adds": MCP servers of the caller's, for a session's agent.
 */
import { Effect } from "effect"
import { strict as assert } from "node:assert"
import type { Group } from "./Case.ts"
import * as Expect from "./Expect.ts"
import { App, Server } from "./Server.ts"

const headers = { authorization: "Bearer canary-of-an-mcp-server", "x-team": "a" }
const docs = { name: "docs", url: "http://mcp.test/docs", headers }

export const McpServers: Group = {
  name: "What our server adds: mcp_servers",
  cases: [
    {
      title: "POST /sessions takes mcp_servers: [{name, url, headers?}], which the agent is given",
      needs: ["feature mcp_servers", "demo", "mcp"],
      test: Effect.gen(function* () {
        const app = yield* App
        const id = yield* app.open({ mcp_servers: [docs, { name: "search", url: "https://MCP.test:8443/" }] })
        const said = yield* app.turn(id, "/mcp")
        assert.equal(
          Expect.textOf(Expect.turn(said)),
          "docs http://mcp.test/docs authorization (30) x-team (1)\nsearch https://MCP.test:8443/"
        )
        // One session's are never another's.
        const other = yield* app.open({ mcp_servers: null })
        assert.equal(Expect.textOf(Expect.turn(yield* app.turn(other, "/mcp"))), "")
        for (const path of [`/sessions/${id}`, "/sessions", `/sessions/${id}/events`]) {
          assert(!(yield* app.request("GET", path)).text.includes("canary"))
        }
      })
    },
    {
      title: "hosts that the operator does not name, and what is no server: 422 with its loc",
      needs: ["feature mcp_servers", "mcp"],
      test: Effect.gen(function* () {
        const app = yield* App
        const { agent } = yield* Server
        const open = (mcp_servers: unknown) => app.request("POST", "/sessions", { body: { agent, mcp_servers } })
        for (const [server, ...loc] of [
          [{ ...docs, url: "http://127.0.0.1:9/" }, 0, "url"],
          [{ ...docs, url: "http://mcp.test.evil.test/" }, 0, "url"],
          [{ ...docs, url: "http://mcp.test@evil.test/" }, 0, "url"],
          [{ ...docs, url: "file:///etc/passwd" }, 0, "url"],
          [{ ...docs, url: "docs" }, 0, "url"],
          [{ ...docs, name: "a b" }, 0, "name"],
          [{ url: docs.url }, 0, "name"],
          [{ ...docs, headers: { "x y": "z" } }, 0, "headers"],
          [{ ...docs, headers: { x: "a\r\nb: c" } }, 0, "headers"]
        ] as const) {
          const answer = yield* open([server])
          Expect.invalid(answer, ["body", "mcp_servers", ...loc])
          assert(!answer.text.includes("canary"))
        }
        const many = Array.from({ length: 17 }, (_, index) => ({ name: `s${index}`, url: docs.url }))
        for (const servers of [many, [docs, docs], "docs", {}]) {
          Expect.invalid(yield* open(servers), ["body", "mcp_servers"])
        }
      })
    }
  ]
}
