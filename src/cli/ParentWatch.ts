/**
 * Ending with the npm that started this process.
 *
 * A SIGKILL of npm leaves its children running, and nothing tells them but their parent's id, which changes.
 */
import { Config, Data, Effect, Option, Schedule } from "effect"

/** npm is gone: whoever started this is no longer there to see it. */
export class ParentGone extends Data.TaggedError("ParentGone") {
  override get message(): string {
    return "npm, which started this, is gone"
  }
}

/** The script in package.json says who npm is: by the time this runs, npm may be gone, and the parent another. */
const npm = Effect.option(Config.Int("FORGE_PARENT"))

/** Runs a program, and interrupts it when the npm that started it goes away. */
export const endWithNpm = Effect.fnUntraced(function* <A, E, R>(
  program: Effect.Effect<A, E, R>
): Effect.fn.Return<A, E | ParentGone, R> {
  const parent = yield* npm
  if (Option.isNone(parent)) return yield* program
  const gone = Effect.suspend(() => (process.ppid === parent.value ? Effect.void : Effect.fail(new ParentGone()))).pipe(
    Effect.repeat(Schedule.spaced("250 millis")),
    Effect.andThen(Effect.never)
  )
  return yield* Effect.raceFirst(program, gone)
})
