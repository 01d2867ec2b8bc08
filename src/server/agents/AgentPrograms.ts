/**
 * Finds the programs of the agents on this machine. They are looked up once, when the server starts.
 */
import { Effect, FileSystem, Layer, Option, Path } from "effect"
import type { AgentDefinition } from "../../agent/Agent.ts"
import * as AgentEnvironment from "../../agent/process/AgentEnvironment.ts"
import * as ClaudeAgent from "../../agent/ClaudeAgent.ts"
import { InstalledAgents } from "./InstalledAgents.ts"
import type * as LaunchedAgents from "./LaunchedAgents.ts"

const executable = 0o111

/**
 * Finds a program as the process of an agent would. A relative path is found nowhere: it would be relative to the folder of a
 * session, which is empty.
 */
const locate = Effect.fnUntraced(function* (definition: AgentDefinition, program: string) {
  const fs = yield* FileSystem.FileSystem
  const path = yield* Path.Path
  const { PATH = "" } = AgentEnvironment.make(definition)
  const folders = PATH.split(":").filter((folder) => path.isAbsolute(folder))
  const candidates = /[\\/]/.test(program)
    ? [program].filter((name) => path.isAbsolute(name))
    : folders.map((folder) => path.join(folder, program))
  return yield* Effect.findFirst(candidates, (candidate) =>
    fs.stat(candidate).pipe(
      Effect.map(({ mode, type }) => type === "File" && (mode & executable) !== 0),
      Effect.orElseSucceed(() => false)
    )
  )
})

/** What the machine has of an agent. */
export interface Installation {
  /** The program that is started: the one that wraps the agent, if there is one. */
  readonly program: string
  /** Where it is. */
  readonly found: Option.Option<string>
  /** The version of Claude's adapter, for an agent that runs it. */
  readonly version: Option.Option<string>
}

/** Looks up an agent without starting it. */
export const inspect: (
  definition: AgentDefinition
) => Effect.Effect<Installation, never, FileSystem.FileSystem | Path.Path> = Effect.fnUntraced(function* (
  definition: AgentDefinition
) {
  const [program] = definition.wrap ?? definition.command
  const found = yield* locate(definition, program)
  const [command, ...rest] = definition.command
  const located = yield* locate(definition, command)
  const version = yield* ClaudeAgent.versionOf([Option.getOrElse(located, () => command), ...rest])
  return { program, found, version }
})

export const make = Effect.fnUntraced(function* ({ agents }: LaunchedAgents.Options) {
  const inspected = yield* Effect.forEach(agents, (definition) =>
    Effect.map(inspect(definition), (installation) => ({ name: definition.name, ...installation }))
  )
  const installed = inspected.filter(({ found }) => Option.isSome(found))
  const claude = installed.find(({ name }) => name === "claude")
  return InstalledAgents.of({
    programs: inspected.map(({ found, name, program }) => ({
      agent: name,
      program,
      isInstalled: Option.isSome(found)
    })),
    any: installed.length > 0,
    claude: claude !== undefined,
    claudeVersion: claude === undefined ? Option.none() : claude.version
  })
})

export const layer = (options: LaunchedAgents.Options) => Layer.effect(InstalledAgents, make(options))
