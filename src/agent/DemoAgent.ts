/**
 * The demo agent (demo/Main.ts), as a row of the agents table: a real agent that needs no network and no key.
 */
import { fileURLToPath } from "node:url"
import type { AgentDefinition } from "./Agent.ts"

/** Beside this file, as source or as built. */
const program = fileURLToPath(new URL(`./demo/Main${import.meta.url.slice(-3)}`, import.meta.url))

export const definition: AgentDefinition = {
  name: "demo",
  command: [process.execPath, program],
  permissions: "allow",
  takesSystemPrompt: true
}
