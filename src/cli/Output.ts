/**
 * Ending with the output: when nobody reads it any more, nobody waits for what would be printed next.
 */
import { Data, Effect } from "effect"

/** Nothing can be printed any more. */
export class OutputClosed extends Data.TaggedError("OutputClosed")<{ readonly code: string | undefined }> {
  override get message(): string {
    return `the output cannot be written to${this.code === undefined ? "" : ` (${this.code})`}`
  }

  /** A reader that has seen enough, as `head` does, is no failure to be told of. */
  get isReaderGone(): boolean {
    return this.code === "EPIPE"
  }
}

const closed = Effect.callback<never, OutputClosed>((resume) => {
  const fail = ({ code }: NodeJS.ErrnoException) => resume(Effect.fail(new OutputClosed({ code })))
  // It stays: what is printed while the program ends would fail again, and unheard errors end a process at once.
  process.stdout.on("error", fail)
  process.stderr.on("error", () => {})
})

/** Runs a program, and interrupts it when its output is closed. */
export const endWithOutput = <A, E, R>(program: Effect.Effect<A, E, R>): Effect.Effect<A, E | OutputClosed, R> =>
  Effect.raceFirst(program, closed)
