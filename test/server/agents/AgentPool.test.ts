import { assert, describe, it } from "@effect/vitest"
import { Effect, Exit, Fiber, Scope } from "effect"
import { TestClock } from "effect/testing"
import * as AgentPool from "../../../src/server/agents/AgentPool.ts"

/** A pool whose processes have names, and a log of when each starts and ends. */
const make = Effect.fnUntraced(function* (options: AgentPool.Options) {
  const pool = yield* AgentPool.make(options)
  const log: Array<string> = []
  const start = Effect.fnUntraced(function* (name: string) {
    const scope = yield* Scope.make()
    const slot = yield* Scope.provide(pool.acquire, scope)
    log.push(`${name} starts`)
    const end = Effect.suspend(() => {
      log.push(`${name} ends`)
      return Scope.close(scope, Exit.void)
    })
    return { end, slot, release: slot.release(end), reclaim: slot.reclaim }
  })
  const waiting = Effect.fnUntraced(function* (name: string) {
    const fiber = yield* Effect.forkChild(start(name), { startImmediately: true })
    yield* TestClock.adjust(0)
    return fiber
  })
  return { pool, log, start, waiting }
})

describe("AgentPool", () => {
  it.effect("grants slots in the order of the requests, and no more than there are", () =>
    Effect.gen(function* () {
      const { log, pool, start, waiting } = yield* make({ maxProcesses: 2 })
      const a = yield* start("a")
      yield* start("b")
      const c = yield* waiting("c")
      const d = yield* waiting("d")
      assert.deepStrictEqual(log, ["a starts", "b starts"])
      assert.strictEqual(yield* pool.size, 2)
      yield* a.end
      yield* Effect.flatMap(Fiber.join(c), ({ end }) => end)
      yield* Fiber.join(d)
      assert.deepStrictEqual(log, ["a starts", "b starts", "a ends", "c starts", "c ends", "d starts"])
    })
  )

  it.effect("a request that is interrupted while it waits leaves no trace", () =>
    Effect.gen(function* () {
      const { log, pool, start, waiting } = yield* make({ maxProcesses: 1 })
      const a = yield* start("a")
      const b = yield* waiting("b")
      const c = yield* waiting("c")
      yield* Fiber.interrupt(b)
      yield* a.end
      yield* Effect.flatMap(Fiber.join(c), ({ end }) => end)
      assert.deepStrictEqual(log, ["a starts", "a ends", "c starts", "c ends"])
      assert.strictEqual(yield* pool.size, 0)
    })
  )

  it.effect("evicts the processes that have been idle longest, and only as many as are needed", () =>
    Effect.gen(function* () {
      const { log, start, waiting } = yield* make({ maxProcesses: 3 })
      const [a, b, c] = [yield* start("a"), yield* start("b"), yield* start("c")]
      for (const { release } of [b, a, c]) yield* release
      yield* Fiber.join(yield* waiting("d"))
      yield* a.reclaim
      yield* a.release
      yield* Fiber.join(yield* waiting("e"))
      assert.deepStrictEqual(log.slice(3), ["b ends", "d starts", "c ends", "e starts"])
    })
  )

  it.effect("evicts a process at once that becomes idle while requests wait, but none in use", () =>
    Effect.gen(function* () {
      const { log, start, waiting } = yield* make({ maxProcesses: 2 })
      const a = yield* start("a")
      const b = yield* start("b")
      yield* a.release
      yield* a.reclaim
      const c = yield* waiting("c")
      assert.deepStrictEqual(log, ["a starts", "b starts"])
      yield* b.release
      yield* Fiber.join(c)
      assert.deepStrictEqual(log.slice(2), ["b ends", "c starts"])
    })
  )

  it.effect("evicts a process that has been idle for long enough, counted anew after each use", () =>
    Effect.gen(function* () {
      const { log, start } = yield* make({ maxProcesses: 3, sleepAfter: "10 minutes" })
      const a = yield* start("a")
      const b = yield* start("b")
      yield* start("in use")
      yield* a.release
      yield* TestClock.adjust("6 minutes")
      yield* b.release
      yield* a.reclaim
      yield* a.release
      yield* TestClock.adjust("9 minutes")
      assert.lengthOf(log, 3)
      yield* TestClock.adjust("1 minute")
      assert.deepStrictEqual(log.slice(3), ["b ends", "a ends"])
      const c = yield* start("c")
      yield* c.release
      yield* TestClock.adjust("10 minutes")
      assert.deepStrictEqual(log.slice(5), ["c starts", "c ends"])
    })
  )

  it.effect("refuses a request that waits too long, and one that finds too many waiting", () =>
    Effect.gen(function* () {
      const { log, start, waiting } = yield* make({ maxProcesses: 1, maxProcessQueue: 2, maxProcessWait: "30 seconds" })
      const a = yield* start("a")
      const b = yield* waiting("b")
      yield* TestClock.adjust("29 seconds")
      const c = yield* waiting("c")
      assert.strictEqual((yield* Effect.flip(start("d")))._tag, "PoolFull")
      yield* TestClock.adjust("1 second")
      assert.strictEqual((yield* Effect.flip(Fiber.join(b)))._tag, "PoolFull")
      yield* a.end
      yield* Fiber.join(c)
      assert.deepStrictEqual(log, ["a starts", "a ends", "c starts"])
    })
  )

  it.effect("evicts a process once", () =>
    Effect.gen(function* () {
      const { start, waiting } = yield* make({ maxProcesses: 2, sleepAfter: "10 minutes" })
      const a = yield* start("a")
      const b = yield* start("b")
      let asked = 0
      yield* a.slot.release(Effect.sync(() => void asked++))
      yield* waiting("c")
      const d = yield* waiting("d")
      yield* b.release
      yield* TestClock.adjust("10 seconds")
      assert.strictEqual(asked, 1)
      yield* a.end
      yield* Fiber.join(d)
    })
  )

  it.effect("evicts another process where one was reclaimed before it was evicted", () =>
    Effect.gen(function* () {
      const { log, start, waiting } = yield* make({ maxProcesses: 2 })
      const a = yield* start("a")
      const b = yield* start("b")
      yield* a.slot.release(Effect.void)
      const c = yield* waiting("c")
      yield* a.reclaim
      yield* b.release
      yield* Fiber.join(c)
      assert.deepStrictEqual(log.slice(2), ["b ends", "c starts"])
    })
  )

  it.effect("evicts an idle process where one was reclaimed while a request waits", () =>
    Effect.gen(function* () {
      const { log, start, waiting } = yield* make({ maxProcesses: 2 })
      const a = yield* start("a")
      const b = yield* start("b")
      yield* a.slot.release(Effect.void)
      const c = yield* waiting("c")
      yield* b.release
      assert.lengthOf(log, 2)
      yield* a.reclaim
      yield* Fiber.join(c)
      assert.deepStrictEqual(log.slice(2), ["b ends", "c starts"])
    })
  )
})
