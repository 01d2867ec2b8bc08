/**
 * Fakes of the agents and of their working directories.
 */
import { Effect, Layer, Option, Stream } from "effect"
import type { AgentSession } from "../../../src/agent/Agent.ts"
import { Agents } from "../../../src/server/agents/Agents.ts"
import { Folders } from "../../../src/server/folders/Folders.ts"
import { Workspaces } from "../../../src/server/workspaces/Workspaces.ts"
import * as McpHosts from "../../../src/server/sessions/McpHosts.ts"
import { Sealed } from "../../../src/server/storage/Sealed.ts"
import { WorkingDirectories } from "../../../src/server/storage/WorkingDirectories.ts"

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

export const directoriesOf = (does: Partial<WorkingDirectories["Service"]> = {}) =>
  Layer.mock(WorkingDirectories, { ofSession: (id) => `/${id}`, make: () => Effect.void, ...does })

/** A server whose operator names no workspace. */
export const noWorkspaces = Layer.mock(Workspaces, {
  names: [],
  folderOf: () => undefined,
  close: () => Effect.void,
  forget: () => Effect.void,
  keepOnly: () => Effect.void
})

export const noFiles = Layer.mock(Folders, { isSupported: false })

/** A server that allows no MCP servers. */
export const noMcpServers = Layer.merge(
  McpHosts.layer({}),
  Layer.succeed(Sealed, { seal: (text) => Effect.succeed(text), open: (text) => Effect.succeedSome(text) })
)
