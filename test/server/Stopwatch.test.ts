import { assert, it } from "@effect/vitest"
import { Duration, Effect } from "effect"
import { TestClock } from "effect/testing"
import * as Stopwatch from "../../src/server/Stopwatch.ts"

it.effect("a wall clock that is set back does not change the elapsed time", () =>
  Effect.gen(function* () {
    yield* TestClock.adjust("1 hour")
    const elapsed = yield* Stopwatch.start
    yield* TestClock.adjust("3 seconds")
    yield* TestClock.setTime(0)
    assert.deepStrictEqual(yield* elapsed, Duration.seconds(3))
  })
)
