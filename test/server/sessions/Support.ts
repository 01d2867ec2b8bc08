/**
 * Fakes of the agents and of the data folder.
 */
import { Effect, Layer, Option, Stream } from "effect"
import type { AgentSession } from "../../../src/agent/Agent.ts"
import { Agents } from "../../../src/server/agents/Agents.ts"
import { DataFolder } from "../../../src/server/storage/DataFolder.ts"

/** The only agent of the table. */
export const agentName = "any"

export const agentSession = (options: Partial<AgentSession>): AgentSession => ({
  id: "agent-session",
  pid: 1,
  isRestorable: true,
  offer: { features: {} },
  ended: Effect.never,
  turn: () => Stream.never,
  ...options
})

/** A table of that agent alone, whose sessions are opened by `open`. */
export const agentsOf = (open: Agents["Service"]["open"]) =>
  Layer.succeed(Agents, {
    has: (name) => name === agentName,
    names: [agentName],
    defaultName: Option.some(agentName),
    offerOf: () => Option.none(),
    open
  })

export const folderOf = (does: Partial<DataFolder["Service"]> = {}) =>
  Layer.mock(DataFolder, {
    temporary: undefined,
    ledger: "/ledger",
    owner: "/owner",
    uploads: "/uploads",
    agents: "/agents",
    workingDirectory: (id) => `/${id}`,
    makeWorkingDirectory: () => Effect.void,
    ...does
  })
