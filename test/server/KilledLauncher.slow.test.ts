/**
 * An agent whose command starts another process on the same pipes, which does the work.
 */
import * as NodeFileSystem from "@effect/platform-node/NodeFileSystem"
import { assert, describe, it } from "@effect/vitest"
import { Effect, Fiber, FileSystem } from "effect"
import type { AgentDefinition } from "../../src/agent/Agent.ts"
import { isAlive } from "../agent/Support.ts"
import { eventually } from "../support/Eventually.ts"
import { failureOf, odd, openWith, pong } from "./OddAgents.ts"
import { processesIn, serve, turnOf } from "./Support.ts"

const script = `
  require("node:child_process").spawn(process.argv[1], process.argv.slice(2), { stdio: "inherit" })
  setInterval(() => {}, 1_000)
`

/** The worker answers `cancelled` when its input is closed, as it is when the launcher has exited. It ends late. */
const { command, ...worker } = odd("cancelled-on-close")
const launched: AgentDefinition = { ...worker, command: [process.execPath, "-e", script, ...command] }

describe("a launcher that is killed in the middle of a turn", () => {
  it.live("fails that turn with how it ended; the next one waits until its worker is gone and wakes the session", () =>
    Effect.gen(function* () {
      const fs = yield* FileSystem.FileSystem
      const { mint } = yield* serve({ agents: [launched] })
      const app = yield* mint("app")
      const { cwd, id } = yield* openWith(app, launched.name)
      const cut = yield* Effect.forkChild(app.turn(id, "go"))
      yield* fs.exists(`${cwd}/working`).pipe(eventually("an agent at work", (there) => there))
      const workerPid = Number(yield* fs.readFileString(`${cwd}/pid`))
      const [launcherPid, ...others] = processesIn(cwd)
        .map(Number)
        .filter((pid) => pid !== workerPid)
      assert.deepStrictEqual(others, [])
      process.kill(launcherPid ?? 0, "SIGKILL")
      const next = yield* Effect.forkChild(app.turn(id, "ping"))
      assert.strictEqual(failureOf(yield* Fiber.join(cut)).error, `Agent ${launched.name} was terminated by SIGKILL.`)
      assert.deepStrictEqual(yield* Effect.flatMap(Fiber.join(next), turnOf), { turnIndex: 2, ...pong })
      assert.isFalse(isAlive(workerPid))
    }).pipe(Effect.scoped, Effect.provide(NodeFileSystem.layer))
  )
})
