/**
 * Exit codes and forced exit of `forge serve`: SIGTERM exits with 0 and SIGINT with 130, and a second signal exits at
 * once, without a graceful shutdown.
 */
import { Effect } from "effect"

const codes = { SIGINT: 130, SIGTERM: 0 } as const

type Signal = keyof typeof codes

/** Waits for a signal. Sets the exit code at once, since the process may exit before the effect continues. */
const nextSignal = Effect.callback<Signal>((resume) => {
  const onSignal = (signal: Signal) => {
    process.exitCode ??= codes[signal]
    resume(Effect.succeed(signal))
  }
  process.once("SIGINT", onSignal)
  process.once("SIGTERM", onSignal)
  return Effect.sync(() => {
    process.off("SIGINT", onSignal)
    process.off("SIGTERM", onSignal)
  })
})

/** npm forwards a signal that the terminal has also sent to this process: that is not a second one. */
const forwardDelay = "500 millis"

const forcedCodes = { SIGINT: 130, SIGTERM: 143 } as const

const forceExit = Effect.gen(function* () {
  yield* nextSignal
  yield* Effect.sleep(forwardDelay)
  const second = yield* nextSignal
  // The watchdog kills the agents that this leaves running.
  process.exit(forcedCodes[second])
})

/** Handles signals until the scope closes, which must be after everything else has shut down. */
export const watch = Effect.asVoid(Effect.forkScoped(forceExit, { startImmediately: true }))
