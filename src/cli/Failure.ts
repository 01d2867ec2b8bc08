/**
 * How the command ends: one sentence on standard error, and an exit code that says what kind of failure it was.
 */
import { Cause, Console, Data, Effect, Exit, Option, type PlatformError, Predicate, type Runtime } from "effect"
import { CliError } from "effect/cli"
import { OutputClosed } from "./Output.ts"

/** The command was given settings that do not go together, or lacks one that it needs. */
export class UsageError extends Data.TaggedError("UsageError")<{ readonly message: string }> {}

const readFailures: Readonly<Record<string, string>> = {
  NotFound: "there is no such file",
  PermissionDenied: "this user may not read it",
  BadResource: "it is not a file"
}

/** Why a file that somebody named cannot be read. */
export const unreadable =
  (what: string, file: string) =>
  ({ message, reason }: PlatformError.PlatformError): UsageError =>
    new UsageError({ message: `${what} ${file} cannot be read: ${readFailures[reason._tag] ?? message}` })

const isUsage = (error: unknown) => CliError.isCliError(error) || error instanceof UsageError

/** 0: done; 1: failed; 2: not used as its help says; 130: interrupted, unless the command has set another code. */
export const teardown: Runtime.Teardown = (exit, onExit) => {
  if (Exit.isSuccess(exit)) return onExit(0)
  if (Cause.hasInterruptsOnly(exit.cause)) return onExit(Number(process.exitCode ?? 130))
  return onExit(isUsage(Cause.squash(exit.cause)) ? 2 : 1)
}

/** By then the command line has reported its own errors; and when the reader is gone, there is nobody to tell. */
const isTold = (error: unknown) => CliError.isCliError(error) || (error instanceof OutputClosed && error.isReaderGone)

const sentence = (error: unknown): string =>
  Predicate.hasProperty(error, "message") && typeof error.message === "string" ? error.message : String(error)

/** Says why a program failed. Only a bug in it shows where: a stack trace helps nobody to put a setting right. */
export const report = (cause: Cause.Cause<unknown>): Effect.Effect<void> => {
  if (Cause.hasInterruptsOnly(cause)) return Effect.void
  return Option.match(Cause.findErrorOption(cause), {
    onNone: () => Console.error(`forge: this is a bug in forge:\n${Cause.pretty(cause)}`),
    onSome: (error) => (isTold(error) ? Effect.void : Console.error(`forge: ${sentence(error)}`))
  })
}
