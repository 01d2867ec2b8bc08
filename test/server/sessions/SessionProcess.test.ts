import { assert, describe, it } from "@effect/vitest"
import { Effect, Fiber, Latch } from "effect"
import { TestClock } from "effect/testing"
import { SessionId } from "../../../src/wire/Ids.ts"
import * as AgentPool from "../../../src/server/agents/AgentPool.ts"
import * as SessionProcess from "../../../src/server/sessions/SessionProcess.ts"
import { agentSession, agentName, agentsOf, folderOf } from "./Support.ts"

/** Agents whose processes end once they are allowed to, and a log of them. */
const make = Effect.gen(function* () {
  const log: Array<string> = []
  const ending = yield* Latch.make()
  const gone = yield* Latch.make()
  const open = Effect.acquireRelease(
    Effect.sync(() => {
      log.push("starts")
      return agentSession({})
    }),
    () =>
      Effect.gen(function* () {
        yield* ending.open
        yield* gone.await
        log.push("is gone")
      })
  )
  return { agents: agentsOf(() => open), ending: ending.await, letGo: gone.open, log }
})

describe("SessionProcess", () => {
  it.effect("the process of a session that is evicted has ended before the next one starts", () =>
    Effect.gen(function* () {
      const { agents, ending, letGo, log } = yield* make
      yield* Effect.gen(function* () {
        const process = yield* SessionProcess.make({
          sessionId: SessionId.make("a"),
          agent: agentName,
          cwd: "/",
          model: null,
          effort: null,
          system: null
        })
        const use = Effect.scoped(process.use)
        yield* use
        yield* TestClock.adjust("10 minutes")
        yield* ending
        const next = yield* Effect.forkChild(use, { startImmediately: true })
        yield* TestClock.adjust("1 second")
        const meanwhile = [...log]
        yield* letGo
        yield* Fiber.join(next)
        assert.deepStrictEqual(meanwhile, ["starts"])
        assert.deepStrictEqual(log, ["starts", "is gone", "starts"])
      }).pipe(Effect.scoped, Effect.provide([agents, folderOf(), AgentPool.layer({ maxProcesses: 5 })]))
    })
  )
})
