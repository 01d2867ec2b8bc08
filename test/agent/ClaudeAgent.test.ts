import { assert, layer } from "@effect/vitest"
import * as NodeServices from "@effect/platform-node/NodeServices"
import { Effect, FileSystem } from "effect"
import * as ClaudeAgent from "../../src/agent/ClaudeAgent.ts"
import { temporaryFolder } from "./Support.ts"

layer(NodeServices.layer)("the Claude adapter", (it) => {
  it.effect("is found in the first folder that has it", () =>
    Effect.gen(function* () {
      const fs = yield* FileSystem.FileSystem
      const [empty, folder, later] = [yield* temporaryFolder, yield* temporaryFolder, yield* temporaryFolder]
      for (const candidate of [folder, later]) yield* fs.writeFileString(`${candidate}/claude-agent-acp`, "")
      const definition = yield* ClaudeAgent.find({ folders: [empty, folder, later] })
      assert.deepStrictEqual(definition.command, [`${folder}/claude-agent-acp`])
      assert.isTrue(definition.passEnv?.includes("ANTHROPIC_API_KEY"))
    })
  )

  it.effect("runs without the operator's own settings, tool servers and mode", () =>
    Effect.gen(function* () {
      const fs = yield* FileSystem.FileSystem
      const folder = yield* temporaryFolder
      yield* fs.writeFileString(`${folder}/claude-agent-acp`, "")
      const { mode, sessionMeta } = yield* ClaudeAgent.find({ folders: [folder] })
      assert.strictEqual(mode, "default")
      assert.deepStrictEqual(sessionMeta, {
        claudeCode: {
          options: {
            settingSources: [],
            strictMcpConfig: true,
            allowDangerouslySkipPermissions: false,
            promptSuggestions: false,
            title: "clawdforge"
          }
        }
      })
    })
  )

  it.effect("explains how to install it if it is not found", () =>
    Effect.gen(function* () {
      const failure = yield* Effect.flip(ClaudeAgent.find({ folders: [yield* temporaryFolder] }))
      assert.include(failure.message, "npm install --global @agentclientprotocol/claude-agent-acp")
      assert.include(failure.message, "ANTHROPIC_API_KEY")
      assert.notInclude(failure.message, "\n")
    })
  )
})
