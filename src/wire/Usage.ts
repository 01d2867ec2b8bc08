/**
 * What a turn or a run used.
 */
import { Schema } from "effect"

/**
 * What a turn or a run used, as far as the agent reports it. Of an agent that reports the total of its session (Copilot),
 * a turn used the increase, which is not known of the first turn after the server has restored the session.
 */
export interface Usage {
  /** Those that the agent's model read; of them, `cachedTokens` came from its cache. */
  readonly inputTokens?: number | undefined
  readonly outputTokens?: number | undefined
  readonly cachedTokens?: number | undefined
  readonly totalTokens?: number | undefined
  /** In US dollars. */
  readonly costUsd?: number | undefined
}

const usageStruct = Schema.Struct({
  inputTokens: Schema.optional(Schema.Finite),
  outputTokens: Schema.optional(Schema.Finite),
  cachedTokens: Schema.optional(Schema.Finite),
  totalTokens: Schema.optional(Schema.Finite),
  costUsd: Schema.optional(Schema.Finite)
}).pipe(
  Schema.encodeKeys({
    inputTokens: "input_tokens",
    outputTokens: "output_tokens",
    cachedTokens: "cached_tokens",
    totalTokens: "total_tokens",
    costUsd: "cost_usd"
  })
)

/** As the wire has it. */
export interface UsageEncoded extends Schema.Codec.Encoded<typeof usageStruct> {}

export const usage: Schema.Codec<Usage, UsageEncoded> = usageStruct

const counts = ["inputTokens", "outputTokens", "cachedTokens", "totalTokens", "costUsd"] as const

/** Adds two up. It has the counts that one of them has. */
export const add = (a: Usage, b: Usage): Usage =>
  Object.fromEntries(
    counts
      .filter((count) => a[count] !== undefined || b[count] !== undefined)
      .map((count) => [count, (a[count] ?? 0) + (b[count] ?? 0)])
  )
