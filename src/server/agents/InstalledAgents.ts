/**
 * Which agents are installed, as far as that shows without starting one. It is looked up once, when the server starts.
 */
import { Context, Effect, FileSystem, Layer, Option, Path } from "effect"
import type { AgentDefinition } from "../../agent/Agent.ts"
import * as AgentEnvironment from "../../agent/process/AgentEnvironment.ts"
import * as ClaudeAgent from "../../agent/ClaudeAgent.ts"
import type * as Agents from "./Agents.ts"

export class InstalledAgents extends Context.Service<
  InstalledAgents,
  {
    /** Whether any agent is, so that sessions can be opened. */
    readonly any: boolean
    readonly claude: boolean
    /** The version of Claude's adapter, if the agent `claude` runs it. */
    readonly claudeVersion: Option.Option<string>
  }
>()("effect-clawdforge/server/agents/InstalledAgents") {}

const executable = 0o111

/** Finds a program as the process of an agent would. */
const locate = Effect.fnUntraced(function* (definition: AgentDefinition, program: string) {
  const fs = yield* FileSystem.FileSystem
  const path = yield* Path.Path
  const { PATH = "" } = AgentEnvironment.make(definition)
  const candidates = /[\\/]/.test(program) ? [program] : PATH.split(":").map((folder) => path.join(folder, program))
  return yield* Effect.findFirst(candidates, (candidate) =>
    fs.stat(candidate).pipe(
      Effect.map(({ mode, type }) => type === "File" && (mode & executable) !== 0),
      Effect.orElseSucceed(() => false)
    )
  )
})

const isInstalled = (definition: AgentDefinition) =>
  Effect.map(locate(definition, (definition.wrap ?? definition.command)[0]), Option.isSome)

const claudeVersionOf = Effect.fnUntraced(function* (definition: AgentDefinition) {
  const [program, ...rest] = definition.command
  const located = yield* locate(definition, program)
  return yield* ClaudeAgent.versionOf([Option.getOrElse(located, () => program), ...rest])
})

export const make = Effect.fnUntraced(function* ({ agents }: Agents.Options) {
  const installed = yield* Effect.filter(agents, isInstalled)
  const claude = installed.find(({ name }) => name === "claude")
  return InstalledAgents.of({
    any: installed.length > 0,
    claude: claude !== undefined,
    claudeVersion: claude === undefined ? Option.none() : yield* claudeVersionOf(claude)
  })
})

export const layer = (options: Agents.Options) => Layer.effect(InstalledAgents, make(options))
