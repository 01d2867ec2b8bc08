/**
 * The admin token that the operator gives a server: in the environment, or in a file.
 */
import { Config, Effect, FileSystem, Option, Redacted } from "effect"
import { wrongWith } from "../server/access/AdminAccess.ts"
import { unreadable, UsageError } from "./Failure.ts"

const variable = "CLAWDFORGE_ADMIN_TOKEN"

const fromEnvironment = Effect.gen(function* () {
  const token = yield* Effect.option(Config.Redacted(variable))
  // No process that is started from here on can find it there.
  yield* Effect.sync(() => Reflect.deleteProperty(process.env, variable))
  return Option.filter(token, (token) => Redacted.value(token) !== "")
})

/** What the mode of a file lets its group and everybody else do. */
const others = 0o077

const fromFile = Effect.fnUntraced(function* (file: string) {
  const fs = yield* FileSystem.FileSystem
  const { mode, type } = yield* fs.stat(file).pipe(Effect.mapError(unreadable("the admin token file", file)))
  // The mode of a pipe or a device says nothing: what was read from it cannot be read again.
  if (type === "File" && (mode & others) !== 0) {
    return yield* new UsageError({
      message: `the admin token file ${file} is open to other users than its owner: chmod 600 ${file}`
    })
  }
  const text = yield* fs.readFileString(file).pipe(Effect.mapError(unreadable("the admin token file", file)))
  return Redacted.make(text.trim(), { label: "admin token" })
})

/** The token, without which nobody could manage the server: one that was made up here nobody would know. */
export const load = Effect.fnUntraced(function* (file: Option.Option<string>) {
  const inEnvironment = yield* fromEnvironment
  const token = Option.isSome(file) ? Option.some(yield* fromFile(file.value)) : inEnvironment
  if (Option.isNone(token)) {
    return yield* new UsageError({
      message: `an admin token is needed: set ${variable}, or name a file with --admin-token-file`
    })
  }
  const wrong = wrongWith(token.value)
  return wrong === undefined ? token.value : yield* new UsageError({ message: wrong })
})
