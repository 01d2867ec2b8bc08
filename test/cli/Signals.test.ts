import { assert, it } from "@effect/vitest"
import { Effect } from "effect"
import { TestClock } from "effect/testing"
import { vi } from "vitest"
import * as Signals from "../../src/cli/Signals.ts"

/** In the place of the end of this process. */
const ended = (): never => {
  throw new Error("it has ended")
}

it.effect("a signal that comes half a second after another or later ends it; what comes sooner is passed over", () =>
  Effect.gen(function* () {
    const exit = vi.spyOn(process, "exit").mockImplementation(ended)
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
