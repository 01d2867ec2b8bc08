/**
 * The system prompt that a run or a session asks for.
 */
import type { SystemPrompt } from "../agent/Agent.ts"

/** The fields of a request that are about it. */
export interface Asked {
  readonly system?: string | null
  readonly systemMode?: SystemPrompt["mode"] | null
}

/** It is appended to the agent's own where nothing else is said; without a text there is none. */
export const from = ({ system, systemMode }: Asked): SystemPrompt | undefined =>
  system === undefined || system === null ? undefined : { text: system, mode: systemMode ?? "append" }
