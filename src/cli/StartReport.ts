/**
 * What a server finds when it starts: which of its agents are installed, and the settings that decide who may call it and
 * what the agents may do.
 *
 * It is logged without secrets: the arguments of a command and the environment of an agent may contain some.
 */
import { Effect, Option } from "effect"
import type { AgentDefinition } from "../agent/Agent.ts"
import * as AgentPrograms from "../server/agents/AgentPrograms.ts"
import type { Options } from "../server/ForgeServer.ts"
import { UsageError } from "./Failure.ts"

/** An agent of the table, and what the machine has of it. */
export interface FoundAgent extends AgentPrograms.Installation {
  readonly definition: AgentDefinition
}

/** Looks up the commands of the agents, and fails if none can be started. */
export const findAgents = Effect.fnUntraced(function* (definitions: ReadonlyArray<AgentDefinition>) {
  const agents = yield* Effect.forEach(definitions, (definition) =>
    Effect.map(AgentPrograms.inspect(definition), (found): FoundAgent => ({ definition, ...found }))
  )
  if (agents.some(({ found }) => Option.isSome(found))) return agents
  const missing = agents.map(({ definition, program }) => `${definition.name} (the command ${program} was not found)`)
  return yield* new UsageError({ message: `no agent can be started: ${missing.join(", ")}` })
})

const logAgent = ({ definition, found, program, version }: FoundAgent) => {
  const { command, mode, name, permissions, wrap } = definition
  const fields = {
    agent: name,
    command: command[0],
    ...(wrap === undefined ? {} : { wrap: wrap[0] }),
    ...(Option.isSome(version) ? { version: version.value } : {}),
    permissions,
    ...(mode === undefined ? {} : { mode })
  }
  return Option.match(found, {
    onNone: () => Effect.logWarning(`agent not found: there is no command ${program}`),
    onSome: (path) => Effect.annotateLogs(Effect.logInfo("agent found"), { path })
  }).pipe(Effect.annotateLogs(fields))
}

type Settings = Pick<
  Options,
  "allowedCidrs" | "allowedHosts" | "corsOrigins" | "data" | "trustedProxies" | "workspaces"
>

export interface Report extends Settings {
  readonly url: string
  readonly agents: ReadonlyArray<FoundAgent>
  /** The default answer to the permission requests of agents. */
  readonly permissions: AgentDefinition["permissions"]
}

/** Logs one line for each agent, and one for the server. */
export const log = Effect.fnUntraced(function* (report: Report) {
  const {
    agents,
    allowedCidrs = [],
    allowedHosts = [],
    corsOrigins = [],
    data,
    trustedProxies = [],
    workspaces = []
  } = report
  const list = (name: string, values: ReadonlyArray<string>) =>
    values.length === 0 ? {} : { [name]: values.join(",") }
  yield* Effect.forEach(agents, logAgent, { discard: true })
  yield* Effect.annotateLogs(Effect.logInfo("server started"), {
    url: report.url,
    data,
    permissions: report.permissions,
    networks: ["loopback", ...allowedCidrs].join(","),
    ...list("hosts", allowedHosts),
    ...list("trusted_proxies", trustedProxies),
    ...list("cors_origins", corsOrigins),
    ...list(
      "workspaces",
      workspaces.map(({ name }) => name)
    ),
    node: process.version
  })
})
