/**
 * How the command ends: one sentence on standard error, and an exit code that says what kind of failure it was.
 */
import { Cause, Console, Effect, Exit, Option, Predicate, type Runtime } from "effect"
import { CliError } from "effect/cli"

/** 0 done, 1 failed, 2 not used as its help says, 130 interrupted. */
export const teardown: Runtime.Teardown = (exit, onExit) => {
  if (Exit.isSuccess(exit)) return onExit(0)
  if (Cause.hasInterruptsOnly(exit.cause)) return onExit(130)
  return onExit(CliError.isCliError(Cause.squash(exit.cause)) ? 2 : 1)
}

const sentence = (error: unknown): string =>
  Predicate.hasProperty(error, "message") && typeof error.message === "string" ? error.message : String(error)

/** Says why a program failed. Only a bug in it shows where: a stack trace helps nobody to put a setting right. */
export const report = (cause: Cause.Cause<unknown>): Effect.Effect<void> => {
  if (Cause.hasInterruptsOnly(cause)) return Effect.void
  return Option.match(Cause.findErrorOption(cause), {
    onNone: () => Console.error(`forge: this is a bug in forge:\n${Cause.pretty(cause)}`),
    // The command line has said by then what is wrong with it.
    onSome: (error) => (CliError.isCliError(error) ? Effect.void : Console.error(`forge: ${sentence(error)}`))
  })
}
