import { assert, it } from "@effect/vitest"
import { Duration, Effect } from "effect"
import { TestClock } from "effect/testing"
import * as Stopwatch from "../../src/server/Stopwatch.ts"

it.effect("a clock that is put back does not make less of the time that has passed", () =>
  Effect.gen(function* () {
    yield* TestClock.adjust("1 hour")
    const elapsed = yield* Stopwatch.start
    yield* TestClock.adjust("3 seconds")
    yield* TestClock.setTime(0)
    assert.deepStrictEqual(yield* elapsed, Duration.seconds(3))
  })
)
