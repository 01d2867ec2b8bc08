/**
 * One prompt and one answer, without a session.
 */
import type { Duration, Schema } from "effect"
import type { Usage } from "./Turn.ts"
import type { FileToken } from "./Upload.ts"

/** How a run is asked for. */
export interface RunOptions {
  /** The model, as the agent knows it; the server's default without. */
  readonly model?: string | undefined
  /** A system prompt. */
  readonly system?: string | undefined
  /** Whether it is appended to the agent's own system prompt, or takes its place: `append` by default. */
  readonly systemMode?: "append" | "replace" | undefined
  /** How hard the model is to think. */
  readonly effort?: "low" | "medium" | "high" | "xhigh" | "max" | undefined
  /** Files that were uploaded before, for the agent to read. */
  readonly files?: ReadonlyArray<FileToken> | undefined
  /** How long the agent may work on it: 2 minutes by default, sent in whole seconds, rounded up. */
  readonly timeout?: Duration.Input | undefined
}

/** A run that ended. */
export interface Run {
  /** The agent's final text: as JSON where it is JSON, else as a string. */
  readonly result: Schema.Json
  readonly duration: Duration.Duration
  readonly stopReason: string | null
  /** As far as the agent told, and the server tells. */
  readonly usage: Usage | undefined
}
