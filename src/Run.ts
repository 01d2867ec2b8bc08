/**
 * One prompt and one answer, without a session.
 *
 * For a question that stands alone: the agent remembers nothing of it afterwards. What needs a second turn is a session.
 * A run that may have reached the agent is not retried.
 *
 * **Example** (An answer as data)
 *
 * ```ts
 * import { Effect, Schema } from "effect"
 * import { Forge } from "effect-clawdforge"
 *
 * const Invoice = Schema.Struct({ total: Schema.Finite, currency: Schema.String })
 *
 * const read = Forge.run("Answer with JSON: {total, currency} of this invoice: …", {
 *   system: "You answer with JSON and nothing else.",
 *   effort: "low",
 *   timeout: "90 seconds"
 * }).pipe(Effect.flatMap(({ result }) => Schema.decodeUnknownEffect(Invoice)(result)))
 * ```
 */
import type { Duration, Schema } from "effect"
import type { FileToken } from "./Upload.ts"
import * as Wire from "./wire/Runs.ts"

export type { RunEncoded } from "./wire/Runs.ts"

/** A run that ended. */
export type Run = Wire.Run

/** The codec of a run. */
export const Run: Schema.Codec<Run, Wire.RunEncoded> = Wire.run

/** How a run is asked for. */
export interface RunOptions {
  /** The model, as the agent knows it; the server's default without. */
  readonly model?: string | undefined
  /** A system prompt. */
  readonly system?: string | undefined
  /** Whether it is appended to the agent's own system prompt, or replaces it: `append` by default. */
  readonly systemMode?: "append" | "replace" | undefined
  /** How hard the model is to think. */
  readonly effort?: "low" | "medium" | "high" | "xhigh" | "max" | undefined
  /** Files that were uploaded before, for the agent to read. */
  readonly files?: ReadonlyArray<FileToken> | undefined
  /**
   * How long the agent may work on it: 2 minutes by default, sent in whole seconds, rounded up. A server refuses what it
   * does not allow (5 seconds to 10 minutes, unless it is set up otherwise). This client waits 30 seconds longer.
   */
  readonly timeout?: Duration.Input | undefined
}
