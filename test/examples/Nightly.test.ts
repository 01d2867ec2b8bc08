import { assert, it } from "@effect/vitest"
import { DateTime, Effect } from "effect"
import { TestClock } from "effect/testing"
import { ForgeTest } from "../../src/testing/index.ts"
import { nightly } from "./Nightly.ts"

it.effect("a cron job asks once a night, also after one on which it failed", () =>
  Effect.gen(function* () {
    yield* TestClock.setTime(DateTime.toEpochMillis(DateTime.makeUnsafe("2026-12-01T12:00:00Z")))
    yield* Effect.forkChild(nightly)
    const { prompts } = yield* ForgeTest.ForgeTest
    const count = Effect.map(prompts, ({ length }) => length)
    yield* TestClock.adjust("13 hours")
    assert.strictEqual(yield* count, 0)
    yield* TestClock.adjust("2 hours")
    assert.strictEqual(yield* count, 1)
    yield* TestClock.adjust("24 hours")
    assert.strictEqual(yield* count, 2)
  }).pipe(Effect.provide(ForgeTest.layer([ForgeTest.runFailed("out of paper"), "All quiet."])))
)
