import { assert, describe, it } from "@effect/vitest"
import { Effect, Exit, Fiber, Scope } from "effect"
import { TestClock } from "effect/testing"
import type { TurnEvent } from "../../../src/wire/TurnEvent.ts"
import * as TurnFeed from "../../../src/server/calls/TurnFeed.ts"

const event = (number: number): TurnEvent => ({ _tag: "Text", content: String(number) })
const contents = (events: ReadonlyArray<TurnEvent>) => events.map((event) => ("content" in event ? event.content : ""))

/** A turn of so many events, and how many of them it has offered. */
const run = Effect.fnUntraced(function* (feed: TurnFeed.TurnFeed, count: number) {
  let offered = 0
  const turn = Effect.gen(function* () {
    for (; offered < count; offered++) yield* feed.offer(event(offered))
    yield* feed.end
  })
  const fiber = yield* Effect.forkChild(turn, { startImmediately: true })
  return { fiber, offered: Effect.map(TestClock.adjust(0), () => offered) }
})

/** The remaining events of a reader. */
const drain = Effect.fnUntraced(function* (reader: TurnFeed.TurnReader) {
  const all: Array<string> = []
  while (true) {
    yield* reader.ready
    const taken = yield* reader.take
    if (taken.length === 0) return all
    all.push(...contents(taken))
  }
})

describe("TurnFeed", () => {
  it.effect("a turn waits for its slowest reader, goes on as the reader catches up, and needs no reader", () =>
    Effect.gen(function* () {
      const feed = TurnFeed.make()
      const slow = yield* feed.read
      const turn = yield* run(feed, 2_000)
      assert.strictEqual(yield* turn.offered, 512)
      yield* slow.ready
      assert.deepStrictEqual(contents(yield* slow.take).slice(0, 2), ["0", "1"])
      assert.strictEqual(yield* turn.offered, 512 + 256)
      const late = yield* feed.read
      const [rest, all] = yield* Effect.all([drain(slow), drain(late)], { concurrency: 2 })
      yield* Fiber.join(turn.fiber)
      assert.deepStrictEqual([rest.length, all.length, all[0], all[1_999]], [2_000 - 256, 2_000, "0", "1999"])
      const alone = yield* run(TurnFeed.make(), 5_000)
      yield* Fiber.join(alone.fiber)
    })
  )

  it.effect("a turn that waits for a reader goes on when the reader leaves", () =>
    Effect.gen(function* () {
      const feed = TurnFeed.make()
      const scope = yield* Scope.make()
      yield* Scope.provide(feed.read, scope)
      const turn = yield* run(feed, 2_000)
      assert.strictEqual(yield* turn.offered, 512)
      yield* Scope.close(scope, Exit.void)
      yield* Fiber.join(turn.fiber)
    })
  )

  it.effect("a reader that leaves stops waiting", () =>
    Effect.gen(function* () {
      const scope = yield* Scope.make()
      const reader = yield* Scope.provide(TurnFeed.make().read, scope)
      const waiting = yield* Effect.forkChild(reader.ready, { startImmediately: true })
      yield* Scope.close(scope, Exit.void)
      yield* TestClock.adjust(0)
      assert.isDefined(waiting.pollUnsafe())
    })
  )
})
