/** What sessions need that their tests do without. */
import { Effect, Layer } from "effect"
import type { AgentDefinition } from "../../../src/agent/Agent.ts"
import { DataFolder } from "../../../src/server/storage/DataFolder.ts"

export const definition: AgentDefinition = { name: "any", command: ["/agent"], permissions: "deny" }

export const Folder = Layer.mock(DataFolder, {
  temporary: undefined,
  ledger: "",
  uploads: "",
  agents: "",
  workingDirectory: () => "/",
  makeWorkingDirectory: () => Effect.void
})
