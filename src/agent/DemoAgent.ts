/**
 * The definition of the demo agent (demo/Main.ts), a real agent that needs no network and no key.
 */
import { fileURLToPath } from "node:url"
import type { AgentDefinition } from "./Agent.ts"

/** Relative to this file, with its extension: `.ts` as source, `.js` as built. */
const program = fileURLToPath(new URL(`./demo/Main${import.meta.url.slice(-3)}`, import.meta.url))

export const definition: AgentDefinition = {
  name: "demo",
  command: [process.execPath, program],
  permissions: "allow",
  takesSystemPrompt: true
}
