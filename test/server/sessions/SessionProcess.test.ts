import { assert, describe, it } from "@effect/vitest"
import { Effect, Exit, Fiber, Latch, Scope } from "effect"
import { TestClock } from "effect/testing"
import { SessionId } from "../../../src/wire/Ids.ts"
import * as AgentPool from "../../../src/server/agents/AgentPool.ts"
import * as SessionProcess from "../../../src/server/sessions/SessionProcess.ts"
import { agentSession, agentName, agentsOf, folderOf } from "./Support.ts"

const options = {
  sessionId: SessionId.make("a"),
  agent: agentName,
  cwd: "/",
  model: null,
  effort: null,
  system: null
}

/** Agents whose processes end once they are allowed to, and a log of them. */
const make = Effect.gen(function* () {
  const log: Array<string> = []
  const ending = yield* Latch.make()
  const gone = yield* Latch.make()
  const exit = yield* Latch.make()
  const open = Effect.acquireRelease(
    Effect.sync(() => {
      log.push("starts")
      return agentSession({ ended: exit.await })
    }),
    () =>
      Effect.gen(function* () {
        yield* ending.open
        yield* gone.await
        log.push("is gone")
      })
  )
  return { agents: agentsOf(() => open), ending: ending.await, exit: exit.open, letGo: gone.open, log }
})

describe("SessionProcess", () => {
  it.effect("the process of a session that is evicted has ended before the next one starts", () =>
    Effect.gen(function* () {
      const { agents, ending, letGo, log } = yield* make
      yield* Effect.gen(function* () {
        const process = yield* SessionProcess.make(options)
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

  it.effect("a process that has ended is not used again: the next use waits until it is gone and starts another", () =>
    Effect.gen(function* () {
      const { agents, exit, letGo, log } = yield* make
      yield* Effect.gen(function* () {
        const process = yield* SessionProcess.make(options)
        const turn = yield* Scope.make()
        yield* Scope.provide(process.use, turn)
        assert.isFalse(yield* process.hasEnded)
        yield* exit
        yield* TestClock.adjust(0)
        assert.isTrue(yield* process.hasEnded)
        yield* Effect.forkChild(Scope.close(turn, Exit.void))
        const next = yield* Effect.forkChild(Effect.scoped(process.use))
        yield* TestClock.adjust("1 second")
        assert.deepStrictEqual(log, ["starts"])
        yield* letGo
        yield* Fiber.join(next)
        assert.deepStrictEqual(log, ["starts", "is gone", "starts"])
      }).pipe(Effect.scoped, Effect.provide([agents, folderOf(), AgentPool.layer({})]))
    })
  )
})
