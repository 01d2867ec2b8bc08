/**
 * The agents that a server has: those of a file, or those that are there without one.
 */
import { Effect, FileSystem, Option, Schema, SchemaIssue } from "effect"
import type { AgentDefinition } from "../agent/Agent.ts"
import * as ClaudeAgent from "../agent/ClaudeAgent.ts"
import * as DemoAgent from "../agent/DemoAgent.ts"
import { AgentName } from "../wire/Ids.ts"
import { unreadable, UsageError } from "./Failure.ts"

export interface Options {
  readonly file: Option.Option<string>
  /** For the agents whose entry in the file does not have its own. */
  readonly permissions: AgentDefinition["permissions"]
}

const Argv = Schema.NonEmptyArray(Schema.NonEmptyString)

const Entry = Schema.Struct({
  command: Argv,
  env: Schema.optionalKey(Schema.Record(Schema.String, Schema.String)),
  passEnv: Schema.optionalKey(Schema.Array(Schema.NonEmptyString)),
  wrap: Schema.optionalKey(Argv),
  permissions: Schema.optionalKey(Schema.Literals(["allow", "deny"]))
})

const Table = Schema.Record(Schema.String, Entry)

const decode = Schema.decodeUnknownEffect(Table, { onExcessProperty: "error" })

const isName = Schema.is(AgentName)

const format = SchemaIssue.makeFormatterStandardSchemaV1()

const sentence = (file: string, { issue }: Schema.SchemaError) => {
  const [first] = format(issue).issues
  const path = (first?.path ?? []).map((segment) => String(typeof segment === "object" ? segment.key : segment))
  const where = path.length === 0 ? "" : ` at ${path.join(".")}`
  return `the agents file ${file} is wrong${where}: ${(first?.message ?? "").replaceAll(/\s+/g, " ")}`
}

/** Cuts the message off where it quotes the file: what it quotes may be an agent's key. */
const withoutQuote = (message: string) => message.replace(/, (\.\.\.)?".*/s, "")

const parse = (file: string, text: string) =>
  Effect.try({
    try: (): unknown => JSON.parse(text),
    catch: (cause) =>
      new UsageError({
        message: `the agents file ${file} is not JSON: ${cause instanceof Error ? withoutQuote(cause.message) : ""}`
      })
  })

const fromFile = Effect.fnUntraced(function* (file: string, permissions: AgentDefinition["permissions"]) {
  const fs = yield* FileSystem.FileSystem
  const text = yield* fs.readFileString(file).pipe(Effect.mapError(unreadable("the agents file", file)))
  const json = yield* parse(file, text)
  const table = yield* Effect.mapError(decode(json), (error) => new UsageError({ message: sentence(file, error) }))
  const entries = Object.entries(table)
  const [odd] = entries.find(([name]) => !isName(name)) ?? []
  if (odd !== undefined) {
    const rule = 'an agent has a name of 1 to 64 letters, digits, "_" and "-"'
    return yield* new UsageError({ message: `the agents file ${file} is wrong at ${JSON.stringify(odd)}: ${rule}` })
  }
  if (entries.length === 0) return yield* new UsageError({ message: `the agents file ${file} names no agent` })
  return entries.map(([name, entry]): AgentDefinition => {
    const definition = { permissions, ...entry }
    const isClaude = name === "claude" || ClaudeAgent.isAdapter(definition.command)
    // Claude is kept from the operator's own settings here too.
    return isClaude ? { ...ClaudeAgent.make(definition), ...definition, name } : { name, ...definition }
  })
})

/** The demo agent, and Claude where its adapter is installed. */
const found = (permissions: AgentDefinition["permissions"]) =>
  Effect.map(Effect.option(ClaudeAgent.find({ permissions })), (claude): ReadonlyArray<AgentDefinition> => [
    ...Option.toArray(claude),
    { ...DemoAgent.definition, permissions }
  ])

export const load = Effect.fnUntraced(function* ({ file, permissions }: Options) {
  return Option.isSome(file) ? yield* fromFile(file.value, permissions) : yield* found(permissions)
})
