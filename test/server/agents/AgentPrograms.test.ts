import * as NodeServices from "@effect/platform-node/NodeServices"
import { assert, describe, it } from "@effect/vitest"
import { Effect, FileSystem, Option } from "effect"
import type { AgentDefinition } from "../../../src/agent/Agent.ts"
import * as AgentPrograms from "../../../src/server/agents/AgentPrograms.ts"

const look = (...agents: ReadonlyArray<Omit<AgentDefinition, "permissions">>) =>
  AgentPrograms.make({ agents: agents.map((agent) => ({ ...agent, permissions: "deny" })) })

const folder = Effect.gen(function* () {
  const fs = yield* FileSystem.FileSystem
  const folder = yield* fs.makeTempDirectoryScoped()
  const write = Effect.fnUntraced(function* (name: string, content: string, mode = 0o755) {
    const path = `${folder}/${name}`
    yield* fs.makeDirectory(path.slice(0, path.lastIndexOf("/")), { recursive: true })
    yield* fs.writeFileString(path, content, { mode })
    return path
  })
  return { folder, fs, write }
})

describe("InstalledAgents", () => {
  it.effect("an agent is installed if the program of its process is", () =>
    Effect.gen(function* () {
      const { folder: bin, write } = yield* folder
      const program = yield* write("agent", "")
      const data = yield* write("data", "", 0o644)
      for (const [any, agent] of [
        [true, { command: [program] }],
        [true, { command: ["agent"], env: { PATH: `/nonexistent:${bin}` } }],
        [true, { command: ["/nonexistent/agent"], wrap: [program] }],
        [false, { command: ["agent"] }],
        // Relative to the folder of a session, which is empty.
        [false, { command: ["node_modules/.bin/tsc"] }],
        [false, { command: ["tsc"], env: { PATH: "node_modules/.bin" } }],
        [false, { command: [data] }],
        [false, { command: [bin] }],
        [false, { command: ["/nonexistent/agent"] }],
        [false, { command: [program], wrap: ["/nonexistent/wrap"] }]
      ] as const) {
        const installed = yield* look({ name: "claude", ...agent })
        assert.deepStrictEqual([installed.any, installed.claude], [any, any], JSON.stringify(agent))
      }
      const other = yield* look({ name: "gone", command: ["/nonexistent"] }, { name: "other", command: [program] })
      assert.deepStrictEqual([other.any, other.claude], [true, false])
      assert.isFalse((yield* look()).any)
    }).pipe(Effect.scoped, Effect.provide(NodeServices.layer))
  )

  it.effect("the version of Claude is that of its adapter's package only", () =>
    Effect.gen(function* () {
      const { folder: root, fs, write } = yield* folder
      yield* write("package.json", '{"name":"some-app","version":"9.9.9"}')
      const home = "lib/node_modules/@agentclientprotocol/claude-agent-acp"
      yield* write(`${home}/package.json`, '{"name":"@agentclientprotocol/claude-agent-acp","version":"1.2.3"}')
      const program = yield* write(`${home}/dist/index.js`, "")
      yield* fs.makeDirectory(`${root}/bin`)
      const link = `${root}/bin/claude-agent-acp`
      yield* fs.symlink(program, link)
      const stray = yield* write("claude-agent-acp", "")
      for (const [version, command] of [
        ["1.2.3", [link]],
        ["1.2.3", ["claude-agent-acp"]],
        ["1.2.3", [process.execPath, program]],
        [null, [stray]],
        [null, [process.execPath, stray]],
        [null, [process.execPath, "/nonexistent/claude-agent-acp"]],
        [null, [process.execPath]]
      ] as const) {
        const { claudeVersion } = yield* look({ name: "claude", command, env: { PATH: `${root}/bin` } })
        assert.strictEqual(Option.getOrNull(claudeVersion), version, command.join(" "))
      }
    }).pipe(Effect.scoped, Effect.provide(NodeServices.layer))
  )
})
