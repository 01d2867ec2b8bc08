import { assert, describe, it } from "@effect/vitest"
import { Effect, Exit, Fiber, Scope } from "effect"
import { TestClock } from "effect/testing"
import * as AgentPool from "../../../src/server/agents/AgentPool.ts"

/** A pool, and a process of it by a name: where it has come to is in `log`. */
const make = Effect.fnUntraced(function* (options: AgentPool.Options) {
  const pool = yield* AgentPool.make(options)
  const log: Array<string> = []
  const start = Effect.fnUntraced(function* (name: string) {
    const scope = yield* Scope.make()
    const place = yield* Scope.provide(pool.place, scope)
    log.push(`${name} starts`)
    const end = Effect.suspend(() => {
      log.push(`${name} ends`)
      return Scope.close(scope, Exit.void)
    })
    return { end, place, rest: place.rest(end), use: place.use }
  })
  const waiting = Effect.fnUntraced(function* (name: string) {
    const fiber = yield* Effect.forkChild(start(name), { startImmediately: true })
    yield* TestClock.adjust(0)
    return fiber
  })
  return { pool, log, start, waiting }
})

describe("AgentPool", () => {
  it.effect("gives places in the order in which they were asked for, and no more than there are", () =>
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

  it.effect("whoever goes away while waiting leaves no trace", () =>
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

  it.effect("the one that has rested longest makes room, and only as many as are needed", () =>
    Effect.gen(function* () {
      const { log, start, waiting } = yield* make({ maxProcesses: 3 })
      const [a, b, c] = [yield* start("a"), yield* start("b"), yield* start("c")]
      for (const { rest } of [b, a, c]) yield* rest
      yield* Fiber.join(yield* waiting("d"))
      yield* a.use
      yield* a.rest
      yield* Fiber.join(yield* waiting("e"))
      assert.deepStrictEqual(log.slice(3), ["b ends", "d starts", "c ends", "e starts"])
    })
  )

  it.effect("one that comes to rest while others wait makes room at once; one in use does not", () =>
    Effect.gen(function* () {
      const { log, start, waiting } = yield* make({ maxProcesses: 2 })
      const a = yield* start("a")
      const b = yield* start("b")
      yield* a.rest
      yield* a.use
      const c = yield* waiting("c")
      assert.deepStrictEqual(log, ["a starts", "b starts"])
      yield* b.rest
      yield* Fiber.join(c)
      assert.deepStrictEqual(log.slice(2), ["b ends", "c starts"])
    })
  )

  it.effect("puts to sleep what has rested for long enough, the time anew after each use", () =>
    Effect.gen(function* () {
      const { log, start } = yield* make({ maxProcesses: 3, sleepAfter: "10 minutes" })
      const a = yield* start("a")
      const b = yield* start("b")
      yield* start("in use")
      yield* a.rest
      yield* TestClock.adjust("6 minutes")
      yield* b.rest
      yield* a.use
      yield* a.rest
      yield* TestClock.adjust("9 minutes")
      assert.lengthOf(log, 3)
      yield* TestClock.adjust("1 minute")
      assert.deepStrictEqual(log.slice(3), ["b ends", "a ends"])
      const c = yield* start("c")
      yield* c.rest
      yield* TestClock.adjust("10 minutes")
      assert.deepStrictEqual(log.slice(5), ["c starts", "c ends"])
    })
  )

  it.effect("a wait that is too long, and a queue that is too long, are refused", () =>
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

  it.effect("one that falls asleep is not asked to again", () =>
    Effect.gen(function* () {
      const { start, waiting } = yield* make({ maxProcesses: 2, sleepAfter: "10 minutes" })
      const a = yield* start("a")
      const b = yield* start("b")
      let asked = 0
      yield* a.place.rest(Effect.sync(() => void asked++))
      yield* waiting("c")
      const d = yield* waiting("d")
      yield* b.rest
      yield* TestClock.adjust("10 seconds")
      assert.strictEqual(asked, 1)
      yield* a.end
      yield* Fiber.join(d)
    })
  )

  it.effect("one that is used again before it fell asleep does not count as room", () =>
    Effect.gen(function* () {
      const { log, start, waiting } = yield* make({ maxProcesses: 2 })
      const a = yield* start("a")
      const b = yield* start("b")
      yield* a.place.rest(Effect.void)
      const c = yield* waiting("c")
      yield* a.use
      yield* b.rest
      yield* Fiber.join(c)
      assert.deepStrictEqual(log.slice(2), ["b ends", "c starts"])
    })
  )

  it.effect("one that is used again before it fell asleep leaves the room to another that rests", () =>
    Effect.gen(function* () {
      const { log, start, waiting } = yield* make({ maxProcesses: 2 })
      const a = yield* start("a")
      const b = yield* start("b")
      yield* a.place.rest(Effect.void)
      const c = yield* waiting("c")
      yield* b.rest
      assert.lengthOf(log, 2)
      yield* a.use
      yield* Fiber.join(c)
      assert.deepStrictEqual(log.slice(2), ["b ends", "c starts"])
    })
  )
})
