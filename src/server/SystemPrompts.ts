/**
 * The system prompt of a run or a session, from its request.
 */
import type { SystemPrompt } from "../agent/Agent.ts"

/** The fields of a request. */
export interface Fields {
  readonly system?: string | null
  readonly systemMode?: SystemPrompt["mode"] | null
}

/** The system prompt, if there is a text. By default it is appended to the agent's own prompt. */
export const from = ({ system, systemMode }: Fields): SystemPrompt | undefined =>
  system === undefined || system === null ? undefined : { text: system, mode: systemMode ?? "append" }
