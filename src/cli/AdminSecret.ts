/**
 * The admin token that the operator gives a server: in the environment, or in a file.
 */
import { Config, Effect, FileSystem, Option, Redacted } from "effect"
import { UsageError } from "./Failure.ts"

const variable = "CLAWDFORGE_ADMIN_TOKEN"

const shortest = 32

const fromEnvironment = Effect.gen(function* () {
  const token = yield* Config.Redacted(variable).pipe(Config.option, Effect.orElseSucceed(Option.none))
  // No process that is started from here on can find it there.
  yield* Effect.sync(() => Reflect.deleteProperty(process.env, variable))
  return Option.filter(token, (token) => Redacted.value(token) !== "")
})

const fromFile = Effect.fnUntraced(function* (file: string) {
  const fs = yield* FileSystem.FileSystem
  const text = yield* fs
    .readFileString(file)
    .pipe(Effect.mapError(({ message }) => new UsageError({ message: `the admin token cannot be read: ${message}` })))
  return Redacted.make(text.trim(), { label: "admin token" })
})

/** The token; a server without one has no way to be managed, and one that was made up here nobody would know. */
export const load = Effect.fnUntraced(function* (file: Option.Option<string>) {
  const inEnvironment = yield* fromEnvironment
  const token = Option.isSome(file) ? Option.some(yield* fromFile(file.value)) : inEnvironment
  if (Option.isNone(token)) {
    return yield* new UsageError({
      message: `an admin token is needed: set ${variable}, or name a file with --admin-token-file`
    })
  }
  if (Redacted.value(token.value).length < shortest) {
    return yield* new UsageError({ message: `the admin token must have ${shortest} characters at least` })
  }
  return token.value
})
