import { assert, layer } from "@effect/vitest"
import { Effect, Redacted } from "effect"
import { spawn } from "node:child_process"
import * as DemoAgent from "../../src/agent/DemoAgent.ts"
import { Forge } from "../../src/index.ts"
import { NodeForgeClient } from "../../src/node/index.ts"
import * as ForgeServer from "../../src/server/ForgeServer.ts"
import { eventually } from "../support/Eventually.ts"

const server = ForgeServer.layer({ agents: [{ ...DemoAgent.definition, name: "claude" }], port: 0 })

/** The workflow as a process. */
const start = (env: Readonly<Record<string, string>>) =>
  Effect.acquireRelease(
    Effect.sync(() => {
      const args = ["test/examples/Review.ts", "change-1", "/sleep 3"]
      const child = spawn(process.execPath, args, {
        env: { PATH: process.env["PATH"], ...env },
        stdio: ["ignore", "pipe", "inherit"]
      })
      let output = ""
      child.stdout.on("data", (chunk) => {
        output += String(chunk)
      })
      const ended = new Promise<string>((resolve) => {
        child.on("close", () => resolve(output))
      })
      return { child, ended: Effect.promise(() => ended) }
    }),
    ({ child, ended }) =>
      Effect.andThen(
        Effect.sync(() => child.kill("SIGKILL")),
        ended
      )
  )

layer(server, { timeout: "1 minute", excludeTestServices: true })("a workflow with an agent in it", (it) => {
  it.effect("has its answer though it is killed in the middle of the turn, and the agent has the prompt once", () =>
    Effect.gen(function* () {
      const { mint, url } = yield* ForgeServer.ForgeServer
      const token = yield* mint("review")
      const env = { CLAWDFORGE_URL: url, CLAWDFORGE_TOKEN: Redacted.value(token) }
      const sessions = Forge.sessions().pipe(Effect.provide(NodeForgeClient.layer({ url, token })))

      const { child, ended } = yield* start(env)
      yield* sessions.pipe(eventually("a turn that has begun", ([session]) => session?.turnCount === 1))
      child.kill("SIGKILL")
      assert.strictEqual(yield* ended, "")

      const again = yield* start(env)
      assert.strictEqual(yield* again.ended, "I took 3 seconds.\n")
      const [session, ...others] = yield* sessions
      assert.isEmpty(others)
      assert.deepInclude(session, { turnCount: 1 })
      assert.isNotNull(session?.closedAt)
    })
  )
})
