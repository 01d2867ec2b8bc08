/**
 * The definition of the demo agent, a real agent that needs no network and no key. It has no model.
 *
 * It answers about the prompts of its session. Some prompts make it do what tests and demonstrations need: `/echo TEXT`,
 * `/chunks COUNT [MILLIS]`, `/json VALUE`, `/json-fenced VALUE`, `/json-wrong`, `/json-repaired VALUE`, `/sleep SECONDS`,
 * `/wait`, `/silent`, `/refuse`, `/overflow`, `/tool COMMAND`, `/write NAME TEXT`, `/fail TEXT`, `/exit CODE`, `/crash`,
 * `/mcp`, `/system` and `/settings`; `demo/Main.ts` says what each one does.
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
