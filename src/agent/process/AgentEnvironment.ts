/**
 * What of the environment an agent sees: a short list of names, and what its definition gives it. The server's own
 * variables, its secrets among them, are never passed on.
 */
import type { AgentDefinition } from "../Agent.ts"

export type Environment = Readonly<Record<string, string | undefined>>

/** What a program needs to run at all. */
const always = ["PATH", "HOME", "LANG", "TMPDIR"]

/** The server's own settings; no definition can pass them on, by mistake or otherwise. */
const isReserved = (name: string): boolean => name.startsWith("CLAWDFORGE_")

/** The whole environment of an agent, taken from that of the server. */
export const make = (definition: AgentDefinition, server: Environment = process.env): Record<string, string> => {
  const environment: Record<string, string> = {}
  for (const name of [...always, ...(definition.passEnv ?? [])]) {
    const value = server[name]
    if (value !== undefined && !isReserved(name)) environment[name] = value
  }
  for (const [name, value] of Object.entries(definition.env ?? {})) {
    if (!isReserved(name)) environment[name] = value
  }
  return environment
}
