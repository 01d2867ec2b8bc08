/**
 * Tries real agents behind our server and our client, with a stand-in on loopback for the models' APIs:
 * `npm run try:agents`.
 *
 * Each agent is installed from npm into `--folder`, to be used again the next time, or else into a temporary folder.
 * `--only claude,codex` selects agents, `--checks` the checks whose names match a regular expression. Prints one line per
 * check and then one table, and exits with 1 if a check failed.
 */
import * as NodeRuntime from "@effect/platform-node/NodeRuntime"
import * as NodeServices from "@effect/platform-node/NodeServices"
import { Console, Data, Effect, FileSystem, Path } from "effect"
import { parseArgs } from "node:util"
import type { Agent } from "./Agent.ts"
import { agents } from "./Agents.ts"
import * as Checks from "./Checks.ts"
import * as ClaudeChecks from "./ClaudeChecks.ts"
import * as ForgeServe from "./ForgeServe.ts"
import { install } from "./Install.ts"
import * as Report from "./Report.ts"
import { make, Trial } from "./Trial.ts"

class AgentsFailed extends Data.TaggedError("AgentsFailed")<{ readonly message: string }> {}

const { values: options } = parseArgs({
  options: {
    folder: { type: "string" },
    only: { type: "string" },
    checks: { type: "string", default: "" }
  }
})

const isSelected = (check: string) => new RegExp(options.checks).test(check)

/** The checks that only one agent has. */
const more: Readonly<Record<string, ClaudeChecks.Checks>> = { claude: ClaudeChecks.all }

const runChecks = Effect.fnUntraced(function* (agent: Agent) {
  const { api } = yield* Trial
  const checks = Object.entries({ ...Checks.all, ...more[agent.name] }).filter(([name]) => isSelected(name))
  const cannot: Readonly<Record<string, string | undefined>> = agent.cannot ?? {}
  const results = yield* Effect.forEach(checks, ([name, check]) => {
    const reason = cannot[name]
    return reason === undefined ? Report.run(agent, name, check) : Report.cannot(agent, name, reason)
  })
  const left = yield* Effect.exit(Checks.noSessions)
  const hosts = [...(yield* api.externalHosts)]
  if (hosts.length > 0) yield* Console.log(`       ${agent.name} wanted to reach ${hosts.join(", ")}, and could not`)
  return { results, left }
})

const tryAgent = Effect.fnUntraced(function* (agent: Agent, folder: string) {
  const fs = yield* FileSystem.FileSystem
  const path = yield* Path.Path
  const bin = yield* install(agent, path.join(folder, agent.name))
  yield* Console.log(`\n${agent.package} ${agent.version}`)
  const home = yield* fs.makeTempDirectoryScoped()
  const { left, results } = yield* Effect.gen(function* () {
    const trial = yield* make(agent, bin, home)
    const client = ForgeServe.client(trial.server)
    return yield* runChecks(agent).pipe(Effect.provide(client), Effect.provideService(Trial, trial))
  }).pipe(Effect.scoped)
  const nothingLeft = yield* Report.run(agent, "nothing left", Effect.andThen(left, Checks.noProcesses(home)))
  return { agent, results: [...results, nothingLeft] }
}, Effect.scoped)

const program = Effect.gen(function* () {
  const fs = yield* FileSystem.FileSystem
  const path = yield* Path.Path
  const names = options.only?.split(",") ?? agents.map(({ name }) => name)
  const folder = options.folder === undefined ? yield* fs.makeTempDirectoryScoped() : path.resolve(options.folder)
  const selected = agents.filter(({ name }) => names.includes(name))
  const rows = yield* Effect.forEach(selected, (agent) => tryAgent(agent, folder))
  const date = new Date().toISOString().slice(0, 10)
  yield* Console.log(`\n${date}, Node ${process.version}\n\n${Report.table(rows)}`)
  const failed = rows.flatMap(({ results }) => results).filter(({ verdict }) => verdict === "FAILED").length
  if (failed > 0) return yield* new AgentsFailed({ message: `${failed} failed` })
})

program.pipe(
  Effect.scoped,
  Effect.provide(NodeServices.layer),
  Effect.tapCause((cause) => Console.error(Report.messageOf(cause))),
  NodeRuntime.runMain({ disableErrorReporting: true })
)
