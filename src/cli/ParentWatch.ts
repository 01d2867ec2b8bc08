/**
 * Stops the command when the npm process that started it dies.
 *
 * A SIGKILL of npm leaves its children running; the only sign of it is that their parent process id changes.
 */
import { Config, Data, Effect, Option, Schedule } from "effect"

/** The npm process that started this one has exited. */
export class ParentExited extends Data.TaggedError("ParentExited") {
  override get message(): string {
    return "the npm process that started this command has exited"
  }
}

/** npm's process id, set by the script in package.json. By now npm may be dead and `process.ppid` another. */
const npmPid = Effect.option(Config.Int("FORGE_PARENT"))

/** Runs a program, and interrupts it when the npm process that started it exits. */
export const interruptOnParentExit = Effect.fnUntraced(function* <A, E, R>(
  program: Effect.Effect<A, E, R>
): Effect.fn.Return<A, E | ParentExited, R> {
  const parent = yield* npmPid
  if (Option.isNone(parent)) return yield* program
  const parentExit = Effect.suspend(() =>
    process.ppid === parent.value ? Effect.void : Effect.fail(new ParentExited())
  ).pipe(Effect.repeat(Schedule.spaced("250 millis")), Effect.andThen(Effect.never))
  return yield* Effect.raceFirst(program, parentExit)
})
