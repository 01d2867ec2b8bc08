/**
 * Stops the command when its standard output is closed, for example by `head`.
 */
import { Data, Effect } from "effect"

/** Standard output cannot be written to any more. */
export class OutputClosed extends Data.TaggedError("OutputClosed")<{ readonly code: string | undefined }> {
  override get message(): string {
    return `the output cannot be written to${this.code === undefined ? "" : ` (${this.code})`}`
  }

  /** Whether the reader closed the pipe, which is not an error to report. */
  get isReaderGone(): boolean {
    return this.code === "EPIPE"
  }
}

const closed = Effect.callback<never, OutputClosed>((resume) => {
  const fail = ({ code }: NodeJS.ErrnoException) => resume(Effect.fail(new OutputClosed({ code })))
  // These listeners stay: output during shutdown fails again, and an unhandled error event would crash the process.
  process.stdout.on("error", fail)
  process.stderr.on("error", () => {})
})

/** Runs a program, and interrupts it when its output is closed. */
export const interruptOnClose = <A, E, R>(program: Effect.Effect<A, E, R>): Effect.Effect<A, E | OutputClosed, R> =>
  Effect.raceFirst(program, closed)
