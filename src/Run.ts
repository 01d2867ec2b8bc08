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
import type { StreamOptions, TurnOptions } from "./Turn.ts"
import type { FileToken } from "./Upload.ts"
import * as Parts from "./wire/Parts.ts"
import * as Wire from "./wire/Runs.ts"

export type { RunEncoded } from "./wire/Runs.ts"

/** A run that ended. */
export type Run = Wire.Run

/** The codec of a run. */
export const Run: Schema.Codec<Run, Wire.RunEncoded> = Wire.run

/** How a run is asked for. */
export interface RunOptions extends Pick<TurnOptions, "key" | "transport"> {
  /**
   * The agent, on servers that name `agents`: the server's default if not given. Any other server would ignore it, so there
   * the run is refused with 422 and not sent.
   */
  readonly agent?: string | undefined
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

/** What goes with a prompt whose run is read as it happens. */
export interface RunStreamOptions
  extends Omit<RunOptions, "transport">, Pick<StreamOptions, "after" | "idle" | "onInterrupt"> {}

/** The last part of a stream: the run, as `Forge.run` would have returned it. */
export type Done = Parts.RunDone

export const Done = (fields: Omit<Done, "_tag">): Done => ({ _tag: "Done", ...fields })

/** One part of a streamed run: an event as it happens, or at the end the run. */
export type Part = Parts.RunPart

/** The codec of a part, to send a stream on over RPC or to a browser. */
export const Part: Schema.Codec<Part, Parts.RunPartEncoded> = Parts.runPart
