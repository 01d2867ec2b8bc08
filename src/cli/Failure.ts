/**
 * Reports failures of the command: one sentence on standard error, and the exit code.
 */
import { Cause, Console, Data, Effect, Exit, Option, type PlatformError, Predicate, type Runtime } from "effect"
import { CliError } from "effect/cli"
import { OutputClosed } from "./Output.ts"

/** The settings are invalid, contradictory or incomplete. */
export class UsageError extends Data.TaggedError("UsageError")<{ readonly message: string }> {}

const readFailures: Readonly<Record<string, string>> = {
  NotFound: "there is no such file",
  PermissionDenied: "this user may not read it",
  BadResource: "it is not a file"
}

/** Says why a file named by the user cannot be read. */
export const unreadable =
  (description: string, file: string) =>
  ({ message, reason }: PlatformError.PlatformError): UsageError =>
    new UsageError({ message: `${description} ${file} cannot be read: ${readFailures[reason._tag] ?? message}` })

const isUsageError = (error: unknown) => CliError.isCliError(error) || error instanceof UsageError

/** Exit codes: 0 success, 1 failure, 2 misuse, 130 interrupted unless the command has set another code. */
export const teardown: Runtime.Teardown = (exit, onExit) => {
  if (Exit.isSuccess(exit)) return onExit(0)
  if (Cause.hasInterruptsOnly(exit.cause)) return onExit(Number(process.exitCode ?? 130))
  return onExit(isUsageError(Cause.squash(exit.cause)) ? 2 : 1)
}

/** Errors of the command line have been reported already, and a closed pipe has no reader. */
const needsNoReport = (error: unknown) =>
  CliError.isCliError(error) || (error instanceof OutputClosed && error.isReaderGone)

const sentence = (error: unknown): string =>
  Predicate.hasProperty(error, "message") && typeof error.message === "string" ? error.message : String(error)

/** Prints why the command failed. Only a defect shows a stack trace. */
export const report = (cause: Cause.Cause<unknown>): Effect.Effect<void> => {
  if (Cause.hasInterruptsOnly(cause)) return Effect.void
  return Option.match(Cause.findErrorOption(cause), {
    onNone: () => Console.error(`forge: this is a bug in forge:\n${Cause.pretty(cause)}`),
    onSome: (error) => (needsNoReport(error) ? Effect.void : Console.error(`forge: ${sentence(error)}`))
  })
}
