import { assert, describe, it } from "@effect/vitest"
import { Duration, Effect, Exit, Fiber, Latch, Scope } from "effect"
import { TestClock } from "effect/testing"
import { AgentFailed, AgentOptionRefused, type AgentSession } from "../../../src/agent/Agent.ts"
import { SessionId } from "../../../src/wire/Ids.ts"
import * as AgentPool from "../../../src/server/agents/AgentPool.ts"
import * as SessionProcess from "../../../src/server/sessions/SessionProcess.ts"
import { agentSession, agentName, agentsOf, directoriesOf } from "./Support.ts"

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
  it.effect(
    "a session that cannot be restored is lost after three failures in a row over five minutes, not before",
    () =>
      Effect.gen(function* () {
        const locked = { error: "database is locked", stderr: "", stopReason: "error", restore: "failed" } as const
        let attempt: Effect.Effect<AgentSession, AgentFailed | AgentOptionRefused> = new AgentFailed(locked)
        const agents = agentsOf(() => Effect.suspend(() => attempt))
        yield* Effect.gen(function* () {
          const process = yield* SessionProcess.make({ ...options, agentSessionId: "agent-session" })
          const failAfter = Effect.fnUntraced(function* (minutes: number) {
            yield* TestClock.adjust(Duration.minutes(minutes))
            const failure = yield* Effect.flip(Effect.scoped(process.use))
            return failure._tag === "AgentFailed" ? failure.restore : failure._tag
          })
          const fail = Effect.forEach([0, 1, 3], failAfter)
          assert.deepStrictEqual(yield* fail, ["failed", "failed", "failed"])
          // Once it has worked, they are counted anew.
          const scope = yield* Scope.make()
          const exit = yield* Latch.make()
          attempt = Effect.succeed(agentSession({ ended: exit.await }))
          yield* Scope.provide(process.use, scope)
          yield* exit.open
          yield* Scope.close(scope, Exit.void)
          attempt = new AgentFailed(locked)
          assert.deepStrictEqual(yield* fail, ["failed", "failed", "failed"])
          attempt = new AgentOptionRefused({ option: "model", error: "busy" })
          assert.strictEqual(yield* failAfter(0.9), "failed")
          // It may just have no login.
          attempt = new AgentFailed({ ...locked, restore: undefined })
          assert.isUndefined(yield* failAfter(0.1))
          attempt = new AgentFailed(locked)
          assert.strictEqual(yield* failAfter(0), "lost")
        }).pipe(Effect.scoped, Effect.provide([agents, directoriesOf(), AgentPool.layer({})]))
      })
  )

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
      }).pipe(Effect.scoped, Effect.provide([agents, directoriesOf(), AgentPool.layer({ maxProcesses: 5 })]))
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
      }).pipe(Effect.scoped, Effect.provide([agents, directoriesOf(), AgentPool.layer({})]))
    })
  )
})
