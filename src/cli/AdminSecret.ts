/**
 * Loads the admin token of `forge serve` from the environment or from a file.
 */
import { Config, Effect, FileSystem, Option, Redacted } from "effect"
import { problemOf } from "../server/access/AdminAccess.ts"
import { unreadable, UsageError } from "./Failure.ts"

const variable = "CLAWDFORGE_ADMIN_TOKEN"

const fromEnvironment = Effect.gen(function* () {
  const token = yield* Effect.option(Config.Redacted(variable))
  // Processes started later must not inherit it.
  yield* Effect.sync(() => Reflect.deleteProperty(process.env, variable))
  return Option.filter(token, (token) => Redacted.value(token) !== "")
})

/** The mode bits of the group and of others. */
const othersMask = 0o077

const fromFile = Effect.fnUntraced(function* (file: string) {
  const fs = yield* FileSystem.FileSystem
  const { mode, type } = yield* fs.stat(file).pipe(Effect.mapError(unreadable("the admin token file", file)))
  // The mode of a pipe or a device does not matter, since its content can be read only once.
  if (type === "File" && (mode & othersMask) !== 0) {
    return yield* new UsageError({
      message: `the admin token file ${file} is accessible to other users; run: chmod 600 ${file}`
    })
  }
  const text = yield* fs.readFileString(file).pipe(Effect.mapError(unreadable("the admin token file", file)))
  return Redacted.make(text.trim(), { label: "admin token" })
})

/** Loads the token. There is no generated default, since no one would know it. */
export const load = Effect.fnUntraced(function* (file: Option.Option<string>) {
  const inEnvironment = yield* fromEnvironment
  const token = Option.isSome(file) ? Option.some(yield* fromFile(file.value)) : inEnvironment
  if (Option.isNone(token)) {
    return yield* new UsageError({
      message: `an admin token is needed: set ${variable}, or name a file with --admin-token-file`
    })
  }
  const wrong = problemOf(token.value)
  return wrong === undefined ? token.value : yield* new UsageError({ message: wrong })
})
