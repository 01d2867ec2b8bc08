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

const startedByNpm = Config.String("npm_lifecycle_event").pipe(
  Config.option,
  Effect.map(Option.isSome),
  Effect.orElseSucceed(() => false)
)

/** Runs a program, and interrupts it when the npm that started it goes away. */
export const endWithNpm = Effect.fnUntraced(function* <A, E, R>(
  program: Effect.Effect<A, E, R>
): Effect.fn.Return<A, E | ParentGone, R> {
  if (!(yield* startedByNpm)) return yield* program
  const parent = process.ppid
  const gone = Effect.suspend(() => (process.ppid === parent ? Effect.void : Effect.fail(new ParentGone()))).pipe(
    Effect.repeat(Schedule.spaced("250 millis")),
    Effect.andThen(Effect.never)
  )
  return yield* Effect.raceFirst(program, gone)
})
