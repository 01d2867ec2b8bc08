import * as NodeServices from "@effect/platform-node/NodeServices"
import { assert, layer } from "@effect/vitest"
import { Effect, FileSystem, Redacted } from "effect"
import { fileURLToPath } from "node:url"
import * as DemoAgent from "../../../src/agent/DemoAgent.ts"
import { Forge, type ForgeClient } from "../../../src/index.ts"
import * as ForgeServer from "../../../src/server/ForgeServer.ts"

const secret = "canary-of-an-mcp-server"

const mcpServers = [
  { name: "docs", url: "http://mcp.test/docs", headers: { authorization: Redacted.make(`Bearer ${secret}`) } }
]

/** An agent without MCP over HTTP. */
const without = {
  name: "without",
  command: [
    process.execPath,
    fileURLToPath(new URL("../../agent/fixtures/MisbehavingAgent.ts", import.meta.url)),
    "echo"
  ] as const,
  permissions: "deny" as const
}

layer(NodeServices.layer, { excludeTestServices: true, timeout: "1 minute" })("the MCP servers of a session", (it) => {
  it.effect("are given to the agent whenever it is started, sealed at rest, and erased when the session closes", () =>
    Effect.gen(function* () {
      const fs = yield* FileSystem.FileSystem
      const data = yield* fs.makeTempDirectoryScoped()
      const onServer = <A, E>(program: Effect.Effect<A, E, ForgeClient.ForgeClient>) =>
        Effect.provide(
          program,
          ForgeServer.layerEmbedded({ agents: [DemoAgent.definition, without], data, mcpHosts: ["mcp.test"] }),
          { local: true }
        )
      /** Whether the secret is in a file of the server, one that an agent wrote excepted. */
      const isAtRest = Effect.gen(function* () {
        const names = (yield* fs.readDirectory(data)).filter((name) => name.startsWith("ledger.db"))
        const files = yield* Effect.forEach(names, (name) => fs.readFile(`${data}/${name}`))
        return files.some((bytes) => Buffer.from(bytes).includes(secret))
      })
      const rows = Effect.gen(function* () {
        const { DatabaseSync } = yield* Effect.promise(() => import("node:sqlite"))
        const database = new DatabaseSync(`${data}/ledger.db`, { readOnly: true })
        const found = database.prepare("SELECT mcp_servers FROM sessions").all()
        database.close()
        return found.map((row) => row["mcp_servers"])
      })

      const said = "docs http://mcp.test/docs authorization (30)"
      const id = yield* onServer(
        Effect.gen(function* () {
          const session = yield* Forge.open({ agent: "demo", mcpServers })
          assert.strictEqual((yield* session.turn("/mcp")).text, said)
          return session.id
        })
      )
      assert.isFalse(yield* isAtRest)
      assert.isString((yield* rows)[0])

      yield* onServer(
        Effect.gen(function* () {
          const session = yield* Forge.attach(id)
          assert.strictEqual((yield* session.turn("/mcp")).text, said)
          yield* session.close
        })
      )
      assert.isFalse(yield* isAtRest)
      assert.deepStrictEqual(yield* rows, [null])
    })
  )

  it.effect("are refused for an agent that takes none, and not forgotten where their key is lost", () =>
    Effect.gen(function* () {
      const fs = yield* FileSystem.FileSystem
      const data = yield* fs.makeTempDirectoryScoped()
      const onServer = <A, E>(program: Effect.Effect<A, E, ForgeClient.ForgeClient>) =>
        Effect.provide(
          program,
          ForgeServer.layerEmbedded({ agents: [DemoAgent.definition, without], data, mcpHosts: ["mcp.test"] }),
          { local: true }
        )
      const id = yield* onServer(
        Effect.gen(function* () {
          const refused = yield* Effect.flip(Forge.open({ agent: "without", mcpServers }))
          assert.strictEqual(refused.message, "body.mcp_servers: Agent without takes no MCP servers over HTTP.")
          return (yield* Forge.open({ agent: "demo", mcpServers })).id
        })
      )
      yield* fs.remove(`${data}/key`)
      yield* onServer(
        Effect.gen(function* () {
          const session = yield* Forge.attach(id)
          const failed = yield* Effect.flip(session.turn("/mcp"))
          assert.include(failed.message, "The MCP servers of the session cannot be read")
        })
      )
    })
  )
})
