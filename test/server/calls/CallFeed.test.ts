import { assert, describe, it } from "@effect/vitest"
import { Effect, Exit, Fiber, Scope } from "effect"
import { TestClock } from "effect/testing"
import type { TurnEvent } from "../../../src/wire/TurnEvent.ts"
import * as CallFeed from "../../../src/server/calls/CallFeed.ts"
import * as TurnBudget from "../../../src/server/TurnBudget.ts"

const event = (number: number): TurnEvent => ({ _tag: "Text", content: String(number) })
/** A frame that is no gap has the number of its event, from 1, and here its content is one less. */
const contents = (frames: ReadonlyArray<string>) =>
  frames.map((frame) => {
    const [, id, content = ""] =
      /^id: (\d+)\nevent: text\ndata: {"type":"text","content":"(\d+)"}\n\n$/.exec(frame) ?? []
    if (id === undefined) return frame
    assert.strictEqual(Number(content), Number(id) - 1)
    return content
  })

const make = (budget = TurnBudget.make()) => CallFeed.make(budget.shareOf(1))

/** A turn of so many events, and how many of them it has offered. */
const run = Effect.fnUntraced(function* (feed: CallFeed.CallFeed, count: number) {
  let offered = 0
  const turn = Effect.gen(function* () {
    for (; offered < count; offered++) yield* feed.offer(event(offered))
    yield* feed.end
  })
  const fiber = yield* Effect.forkChild(turn, { startImmediately: true })
  return { fiber, offered: Effect.map(TestClock.adjust(0), () => offered) }
})

/** The remaining events of a reader. */
const drain = Effect.fnUntraced(function* (reader: CallFeed.FrameReader) {
  const all: Array<string> = []
  while (true) {
    yield* reader.ready
    const taken = yield* reader.take
    if (taken.length === 0) return all
    all.push(...contents(taken))
  }
})

describe("CallFeed", () => {
  it.effect("a turn waits for its slowest reader, goes on as the reader catches up, and needs no reader", () =>
    Effect.gen(function* () {
      const feed = make()
      const slow = yield* feed.read(0)
      const turn = yield* run(feed, 2_000)
      assert.strictEqual(yield* turn.offered, 512)
      yield* slow.ready
      assert.deepStrictEqual(contents(yield* slow.take).slice(0, 2), ["0", "1"])
      assert.strictEqual(yield* turn.offered, 512 + 256)
      const late = yield* feed.read(0)
      const [rest, all] = yield* Effect.all([drain(slow), drain(late)], { concurrency: 2 })
      yield* Fiber.join(turn.fiber)
      assert.deepStrictEqual([rest.length, all.length, all[0], all[1_999]], [2_000 - 256, 2_000, "0", "1999"])
      const alone = yield* run(make(), 5_000)
      yield* Fiber.join(alone.fiber)
    })
  )

  it.effect("a turn that waits for a reader goes on when the reader leaves", () =>
    Effect.gen(function* () {
      const feed = make()
      const scope = yield* Scope.make()
      yield* Scope.provide(feed.read(0), scope)
      const turn = yield* run(feed, 2_000)
      assert.strictEqual(yield* turn.offered, 512)
      yield* Scope.close(scope, Exit.void)
      yield* Fiber.join(turn.fiber)
    })
  )

  it.effect("a reader that leaves stops waiting", () =>
    Effect.gen(function* () {
      const scope = yield* Scope.make()
      const reader = yield* Scope.provide(make().read(0), scope)
      const waiting = yield* Effect.forkChild(reader.ready, { startImmediately: true })
      yield* Scope.close(scope, Exit.void)
      yield* TestClock.adjust(0)
      assert.isDefined(waiting.pollUnsafe())
    })
  )

  it.effect(
    "a reader that names a frame gets those after it, while the call runs and after its end, and none beyond",
    () =>
      Effect.gen(function* () {
        const feed = make()
        for (let number = 0; number < 5; number++) yield* feed.offer(event(number))
        const [third, beyond] = [yield* feed.read(3), yield* feed.read(7)]
        yield* third.ready
        assert.deepStrictEqual(contents(yield* third.take), ["3", "4"])
        const waiting = yield* Effect.forkChild(beyond.ready, { startImmediately: true })
        for (let number = 5; number < 7; number++) yield* feed.offer(event(number))
        yield* TestClock.adjust(0)
        assert.isUndefined(waiting.pollUnsafe())
        yield* feed.offer(event(7))
        yield* Fiber.join(waiting)
        assert.deepStrictEqual(contents(yield* beyond.take), ["7"])
        yield* feed.end
        assert.deepStrictEqual(yield* drain(third), ["5", "6", "7"])
        for (const after of [0, 6, 8, 100]) {
          const late = yield* feed.read(after)
          assert.deepStrictEqual(yield* drain(late), ["0", "1", "2", "3", "4", "5", "6", "7"].slice(after))
        }
      })
  )

  it.effect("the frames of an app count in its share of the budget: beyond it the oldest ones are a gap", () =>
    Effect.gen(function* () {
      const budget = TurnBudget.make(40_000)
      const feed = make(budget)
      const scope = yield* Scope.make()
      const reader = yield* Scope.provide(feed.read(0), scope)
      for (let number = 0; number < 300; number++) yield* feed.offer(event(number))
      // Nothing is dropped that a reader has not had.
      yield* reader.ready
      assert.strictEqual(contents(yield* reader.take)[0], "0")
      assert.isFalse(budget.shareOf(1).take(1))
      assert.isTrue(budget.shareOf(2).take(10_000))
      budget.shareOf(2).give(10_000)
      for (let number = 300; number < 600; number++) yield* feed.offer(event(number))
      const rest = yield* reader.take
      assert.strictEqual(contents(rest)[0], "256")
      assert.notInclude(rest.join(""), "event: gap")

      const late = yield* feed.read(2)
      yield* late.ready
      const [gap = "", ...frames] = yield* late.take
      const next = Number(/^event: gap\ndata: {"after":2,"next":(\d+)}\n\n$/.exec(gap)?.[1])
      assert.isAbove(next, 3, gap)
      assert.strictEqual(contents(frames)[0], String(next - 1))
      yield* feed.end
      assert.strictEqual((yield* drain(late)).at(-1), "599")
      assert.isFalse(budget.take(40_000))
      yield* Scope.close(scope, Exit.void)
    })
  )

  it.effect("what a call held of the budget is given back when it has ended and its last reader has left", () =>
    Effect.gen(function* () {
      const budget = TurnBudget.make(10_000)
      const feed = make(budget)
      const scope = yield* Scope.make()
      yield* Scope.provide(feed.read(0), scope)
      for (let number = 0; number < 100; number++) yield* feed.offer(event(number))
      yield* feed.end
      assert.isFalse(budget.take(10_000))
      yield* Scope.close(scope, Exit.void)
      assert.isTrue(budget.take(10_000))
      assert.isTrue(budget.shareOf(2).take(0))
    })
  )
})
