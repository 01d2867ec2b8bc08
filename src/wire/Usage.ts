/**
 * What a turn or a run used, as far as the agent told.
 */
import { Schema } from "effect"

/** Tokens and money of one turn or run. */
export const Usage = Schema.Struct({
  inputTokens: Schema.optionalKey(Schema.Finite),
  outputTokens: Schema.optionalKey(Schema.Finite),
  cachedTokens: Schema.optionalKey(Schema.Finite),
  totalTokens: Schema.optionalKey(Schema.Finite),
  costUsd: Schema.optionalKey(Schema.Finite)
}).pipe(
  Schema.encodeKeys({
    inputTokens: "input_tokens",
    outputTokens: "output_tokens",
    cachedTokens: "cached_tokens",
    totalTokens: "total_tokens",
    costUsd: "cost_usd"
  })
)
export type Usage = typeof Usage.Type
