import { assert, it } from "@effect/vitest"
import { Effect } from "effect"
import { TestClock } from "effect/testing"
import { vi } from "vitest"
import * as Signals from "../../src/cli/Signals.ts"

/** Replaces `process.exit`. */
const exitStub = (): never => {
  throw new Error("the process has exited")
}

it.effect("a second signal exits at once, unless it comes within half a second of the first", () =>
  Effect.gen(function* () {
    const exit = vi.spyOn(process, "exit").mockImplementation(exitStub)
    yield* Effect.addFinalizer(() =>
      Effect.sync(() => {
        exit.mockRestore()
        process.exitCode = undefined
      })
    )
    yield* Signals.watch
    process.emit("SIGINT", "SIGINT")
    assert.strictEqual(process.exitCode, 130)
    for (const signal of ["SIGINT", "SIGTERM"] as const) {
      yield* TestClock.adjust("249 millis")
      process.emit(signal, signal)
    }
    assert.deepStrictEqual(exit.mock.calls, [])
    yield* TestClock.adjust("2 millis")
    process.emit("SIGTERM", "SIGTERM")
    yield* Effect.yieldNow
    assert.deepStrictEqual(exit.mock.calls, [[143]])
  })
)
