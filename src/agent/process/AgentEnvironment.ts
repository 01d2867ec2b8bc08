/**
 * Builds an agent's environment: a few standard variables, and those of its definition. The server's own settings and
 * secrets are never passed on.
 */
import type { AgentDefinition } from "../Agent.ts"

export type Environment = Readonly<Record<string, string | undefined>>

/** The variables that any program needs. */
const standard = ["PATH", "HOME", "LANG", "TMPDIR"]

/** The server's own settings, which no definition can pass on. */
const isReserved = (name: string): boolean => name.startsWith("CLAWDFORGE_")

/** The complete environment of an agent. */
export const make = (definition: AgentDefinition, server: Environment = process.env): Record<string, string> => {
  const environment: Record<string, string> = {}
  for (const name of [...standard, ...(definition.passEnv ?? [])]) {
    const value = server[name]
    if (value !== undefined && !isReserved(name)) environment[name] = value
  }
  for (const [name, value] of Object.entries(definition.env ?? {})) {
    if (!isReserved(name)) environment[name] = value
  }
  return environment
}
