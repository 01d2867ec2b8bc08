/**
 * Loads the agents of `forge serve` from a JSON file, or else uses the installed ones.
 */
import { Config, Effect, FileSystem, Option, Path, Schema, SchemaIssue } from "effect"
import type { AgentDefinition } from "../agent/Agent.ts"
import * as ClaudeAgent from "../agent/ClaudeAgent.ts"
import * as DemoAgent from "../agent/DemoAgent.ts"
import { AgentName } from "../wire/Ids.ts"
import { unreadable, UsageError } from "./Failure.ts"

export interface Options {
  readonly file: Option.Option<string>
  /** The default for agents whose entry in the file has no `permissions`. */
  readonly permissions: AgentDefinition["permissions"]
}

const Argv = Schema.NonEmptyArray(Schema.NonEmptyString)

const Entry = Schema.Struct({
  command: Argv,
  env: Schema.optionalKey(Schema.Record(Schema.String, Schema.String)),
  passEnv: Schema.optionalKey(Schema.Array(Schema.NonEmptyString)),
  wrap: Schema.optionalKey(Argv),
  authMethod: Schema.optionalKey(Schema.NonEmptyString),
  permissions: Schema.optionalKey(Schema.Literals(["allow", "deny"]))
})

const Table = Schema.Record(Schema.String, Entry)

const decode = Schema.decodeUnknownEffect(Table, { onExcessProperty: "error" })

const isName = Schema.is(AgentName)

const format = SchemaIssue.makeFormatterStandardSchemaV1()

const describeError = (file: string, { issue }: Schema.SchemaError) => {
  const [first] = format(issue).issues
  const path = (first?.path ?? []).map((segment) => String(typeof segment === "object" ? segment.key : segment))
  const where = path.length === 0 ? "" : ` at ${path.join(".")}`
  return `the agents file ${file} is invalid${where}: ${(first?.message ?? "").replaceAll(/\s+/g, " ")}`
}

/** Removes the quotation of the file from the message, since it may contain an agent's key. */
const withoutQuote = (message: string) => message.replace(/, (\.\.\.)?".*/s, "")

const parse = (file: string, text: string) =>
  Effect.try({
    try: (): unknown => JSON.parse(text),
    catch: (cause) =>
      new UsageError({
        message: `the agents file ${file} is not JSON: ${cause instanceof Error ? withoutQuote(cause.message) : ""}`
      })
  })

/**
 * Resolves the paths of an argv: `~/` against HOME, as no shell does it here, and `./` against the file's folder, since an
 * agent starts in a folder of its session, which is empty. Of the arguments, only those that name a file there: others may be
 * meant relative to the session's folder.
 */
const resolveIn = Effect.fnUntraced(function* (folder: string) {
  const fs = yield* FileSystem.FileSystem
  const path = yield* Path.Path
  const home = yield* Effect.orElseSucceed(Config.String("HOME"), () => "")

  const resolve = Effect.fnUntraced(function* (word: string, isProgram: boolean) {
    if (word.startsWith("~/") && home !== "") return path.join(home, word.slice(2))
    const resolved = path.resolve(folder, word)
    if (isProgram) return /[\\/]/.test(word) ? resolved : word
    const isFile =
      /^\.\.?[\\/]/.test(word) && (yield* Effect.orElseSucceed(fs.stat(resolved), () => undefined))?.type === "File"
    return isFile ? resolved : word
  })

  return Effect.fnUntraced(function* ([program, ...args]: AgentDefinition["command"]) {
    const resolved = yield* Effect.forEach(args, (arg) => resolve(arg, false))
    const argv: AgentDefinition["command"] = [yield* resolve(program, true), ...resolved]
    return argv
  })
})

const fromFile = Effect.fnUntraced(function* (file: string, permissions: AgentDefinition["permissions"]) {
  const fs = yield* FileSystem.FileSystem
  const text = yield* fs.readFileString(file).pipe(Effect.mapError(unreadable("the agents file", file)))
  const json = yield* parse(file, text)
  const table = yield* Effect.mapError(decode(json), (error) => new UsageError({ message: describeError(file, error) }))
  const entries = Object.entries(table)
  const [invalid] = entries.find(([name]) => !isName(name)) ?? []
  if (invalid !== undefined) {
    const rule = 'the name of an agent must be 1 to 64 letters, digits, "_" or "-"'
    return yield* new UsageError({
      message: `the agents file ${file} is invalid at ${JSON.stringify(invalid)}: ${rule}`
    })
  }
  if (entries.length === 0) return yield* new UsageError({ message: `the agents file ${file} has no agents` })
  const path = yield* Path.Path
  const resolve = yield* resolveIn(path.dirname(path.resolve(file)))
  return yield* Effect.forEach(
    entries,
    Effect.fnUntraced(function* ([name, entry]) {
      const definition = {
        permissions,
        ...entry,
        command: yield* resolve(entry.command),
        ...(entry.wrap === undefined ? {} : { wrap: yield* resolve(entry.wrap) })
      }
      const isClaude = name === "claude" || ClaudeAgent.isAdapter(definition.command)
      // Keeps the operator's own settings from Claude here too.
      const agent: AgentDefinition = isClaude
        ? { ...ClaudeAgent.make(definition), ...definition, name }
        : { name, ...definition }
      return agent
    })
  )
})

/** The demo agent, and Claude if its adapter is installed. */
const installed = (permissions: AgentDefinition["permissions"]) =>
  Effect.map(Effect.option(ClaudeAgent.find({ permissions })), (claude): ReadonlyArray<AgentDefinition> => [
    ...Option.toArray(claude),
    { ...DemoAgent.definition, permissions }
  ])

export const load = Effect.fnUntraced(function* ({ file, permissions }: Options) {
  return Option.isSome(file) ? yield* fromFile(file.value, permissions) : yield* installed(permissions)
})
