/**
 * What a server does when it is told to end: SIGTERM is how it is meant to end, SIGINT is somebody's impatience, and a
 * second signal ends it at once.
 */
import { Effect } from "effect"

const codes = { SIGINT: 130, SIGTERM: 0 } as const

type Signal = keyof typeof codes

/** Waits for a signal; the exit code is set as it comes, whatever ends first then. */
const signal = Effect.callback<Signal>((resume) => {
  const hear = (signal: Signal) => {
    process.exitCode ??= codes[signal]
    resume(Effect.succeed(signal))
  }
  process.once("SIGINT", hear)
  process.once("SIGTERM", hear)
  return Effect.sync(() => {
    process.off("SIGINT", hear)
    process.off("SIGTERM", hear)
  })
})

/** npm passes on a signal that the terminal has sent to both: that is not a second one. */
const echo = "500 millis"

const killed = { SIGINT: 130, SIGTERM: 143 } as const

const hearTwice = Effect.gen(function* () {
  yield* signal
  yield* Effect.sleep(echo)
  const second = yield* signal
  // What this leaves behind, the watchdog ends.
  process.exit(killed[second])
})

/** Listens until the scope closes, which has to be after everything else has ended. */
export const watch = Effect.asVoid(Effect.forkScoped(hearTwice, { startImmediately: true }))
