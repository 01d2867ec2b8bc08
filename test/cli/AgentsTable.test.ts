import * as NodeServices from "@effect/platform-node/NodeServices"
import { assert, describe, it } from "@effect/vitest"
import { ConfigProvider, Effect, FileSystem, Option } from "effect"
import { dirname, relative } from "node:path"
import type { AgentDefinition } from "../../src/agent/Agent.ts"
import * as AgentsTable from "../../src/cli/AgentsTable.ts"

const withServices = Effect.provide(NodeServices.layer)

const load = Effect.fnUntraced(function* (text: string) {
  const fs = yield* FileSystem.FileSystem
  const file = yield* fs.makeTempFileScoped()
  yield* fs.writeFileString(file, text)
  return yield* AgentsTable.load({ file: Option.some(file), permissions: "deny" }).pipe(
    Effect.mapError(({ message }) => message.replace(file, "FILE"))
  )
})

describe("AgentsTable", () => {
  it.effect("an agent is defined by its entry; permissions default to those of the server", () =>
    Effect.gen(function* () {
      const [plain, wrapped] = yield* load(
        `{"plain": {"command": ["a"]},
          "wrapped": {"command": ["b", "--acp"], "wrap": ["bwrap", "--"], "env": {"A": "b"}, "passEnv": ["C"], "permissions": "allow"}}`
      )
      assert.deepStrictEqual(plain, { name: "plain", command: ["a"], permissions: "deny" })
      assert.deepStrictEqual(wrapped, {
        name: "wrapped",
        command: ["b", "--acp"],
        wrap: ["bwrap", "--"],
        env: { A: "b" },
        passEnv: ["C"],
        permissions: "allow"
      })
    }).pipe(Effect.scoped, withServices)
  )

  it.effect("Claude from a file does not load the operator's own settings either", () =>
    Effect.gen(function* () {
      const [claude] = yield* load('{"claude": {"command": ["/opt/claude-agent-acp"], "passEnv": ["MINE"]}}')
      assert.deepStrictEqual(claude?.command, ["/opt/claude-agent-acp"])
      assert.deepStrictEqual(claude?.passEnv, ["MINE"])
      assert.strictEqual(claude?.permissions, "deny")
      assert.include(JSON.stringify(claude?.sessionMeta), '"settingSources":[]')
    }).pipe(Effect.scoped, withServices)
  )

  it.effect("Claude under another name is recognised by its adapter", () =>
    Effect.gen(function* () {
      const settingsOf = ({ mode, passEnv, sessionMeta, takesSystemPrompt }: AgentDefinition) => ({
        mode,
        passEnv,
        sessionMeta,
        takesSystemPrompt
      })
      for (const [command, isClaude] of [
        [["claude-agent-acp"], true],
        [["/opt/bin/claude-agent-acp", "--debug"], true],
        [["npx", "--yes", "@agentclientprotocol/claude-agent-acp@0.100.0"], true],
        [["node", "node_modules/@agentclientprotocol/claude-agent-acp/dist/index.js"], true],
        [["C:\\npm\\claude-agent-acp.cmd"], true],
        [["/opt/my-claude-agent-acp"], false],
        [["other", "--not=claude-agent-acp"], false]
      ] as const) {
        const [opus] = yield* load(JSON.stringify({ opus: { command } }))
        const [claude] = yield* load(JSON.stringify({ claude: { command } }))
        assert.strictEqual(opus?.name, "opus")
        if (opus === undefined || claude === undefined) return assert.fail("no agent")
        if (isClaude) assert.deepStrictEqual(settingsOf(opus), settingsOf(claude), command.join(" "))
        else assert.deepStrictEqual(opus, { name: "opus", command, permissions: "deny" })
      }
    }).pipe(Effect.scoped, withServices)
  )

  it.effect(
    "paths are resolved against HOME and the folder of the file, of which an agent's own folder has nothing",
    () =>
      Effect.gen(function* () {
        const fs = yield* FileSystem.FileSystem
        const folder = yield* fs.makeTempDirectoryScoped()
        yield* fs.writeFileString(`${folder}/agent.js`, "")
        yield* fs.makeDirectory(`${folder}/data`)
        const table = {
          here: { command: ["./agent", "~/x", "./agent.js", "./gone.js", "./data", "agent.js"] },
          there: { command: ["~/bin/agent"], wrap: ["../jail", "./agent.js", "--"] },
          below: { command: ["bin/agent"], wrap: ["~/jail"] },
          elsewhere: { command: ["agent"], wrap: ["/bin/jail"] }
        }
        yield* fs.writeFileString(`${folder}/agents.json`, JSON.stringify(table))
        // The file may be given by a path that is relative itself.
        const file = Option.some(relative(process.cwd(), `${folder}/agents.json`))
        const home = ConfigProvider.layer(ConfigProvider.fromEnv({ env: { HOME: "/home/a" } }))
        const agents = yield* AgentsTable.load({ file, permissions: "deny" }).pipe(Effect.provide(home))
        assert.deepStrictEqual(
          agents.map(({ command, wrap }) => [command, wrap]),
          [
            [[`${folder}/agent`, "/home/a/x", `${folder}/agent.js`, "./gone.js", "./data", "agent.js"], undefined],
            [["/home/a/bin/agent"], [`${dirname(folder)}/jail`, `${folder}/agent.js`, "--"]],
            [[`${folder}/bin/agent`], ["/home/a/jail"]],
            [["agent"], ["/bin/jail"]]
          ]
        )
      }).pipe(Effect.scoped, withServices)
  )

  it.effect("an invalid file is reported in one sentence that says where", () =>
    Effect.gen(function* () {
      for (const [text, where] of [
        ["[]", ""],
        ['{"x":{}}', " at x.command"],
        ['{"x":{"command":[]}}', " at x.command"],
        ['{"x":{"command":"a b"}}', " at x.command"],
        ['{"x":{"command":[""]}}', " at x.command.0"],
        ['{"x":{"command":["a"],"env":{"A":1}}}', " at x.env.A"],
        ['{"x":{"command":["a"],"wrap":[]}}', " at x.wrap"],
        ['{"x":{"command":["a"],"permissions":"ask"}}', " at x.permissions"],
        ['{"x":{"command":["a"],"shell":true}}', " at x.shell"],
        ['{"a b":{"command":["a"]}}', ' at "a b": the name of an agent must be 1 to 64 letters, digits, "_" or "-"']
      ] as const) {
        const message = String(yield* Effect.flip(load(text)))
        assert.isTrue(message.startsWith(`the agents file FILE is invalid${where}`), message)
        assert.match(message, /: \S[^\n]+$/)
      }
      for (const [text, why] of [
        ["{", "Expected property name or '}' in JSON at position 1 (line 1 column 2)"],
        ["", "Unexpected end of JSON input"],
        // Without a quotation of the file, which may contain an agent's key.
        ["sk-secret", "Unexpected token 's'"]
      ] as const) {
        assert.strictEqual(yield* Effect.flip(load(text)), `the agents file FILE is not JSON: ${why}`)
      }
      assert.strictEqual(yield* Effect.flip(load("{}")), "the agents file FILE has no agents")
      const missing = yield* Effect.flip(
        AgentsTable.load({ file: Option.some("/nonexistent/agents.json"), permissions: "allow" })
      )
      assert.strictEqual(
        missing.message,
        "the agents file /nonexistent/agents.json cannot be read: there is no such file"
      )
    }).pipe(Effect.scoped, withServices)
  )

  it.effect("without a file the demo agent is available", () =>
    Effect.gen(function* () {
      const agents = yield* AgentsTable.load({ file: Option.none(), permissions: "deny" })
      const demo = agents.filter(({ name }) => name === "demo")
      assert.deepStrictEqual(
        demo.map(({ permissions }) => permissions),
        ["deny"]
      )
    }).pipe(withServices)
  )
})
