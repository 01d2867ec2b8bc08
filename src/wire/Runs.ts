/**
 * `POST /run`: one prompt, one answer, no session.
 */
import { Schema } from "effect"
import { FileToken, Millis, ModelName, NotBlank, nullable, orNull, Seconds } from "./Ids.ts"
import { Usage } from "./Usage.ts"

/** How a prompt of the caller's own stands beside the agent's system prompt. */
export const SystemMode = Schema.Literals(["append", "replace"])

/** How hard the model is to think. */
export const Effort = Schema.Literals(["low", "medium", "high", "xhigh", "max"])

/** The body of a run. */
export const RunRequest = Schema.Struct({
  prompt: NotBlank,
  model: nullable(ModelName),
  system: nullable(NotBlank),
  systemMode: nullable(SystemMode),
  effort: nullable(Effort),
  files: nullable(Schema.Array(FileToken)),
  timeout: nullable(Seconds)
}).pipe(Schema.encodeKeys({ systemMode: "system_mode", timeout: "timeout_secs" }))
export type RunRequest = typeof RunRequest.Type

/**
 * The answer: these four keys, and `usage` only where it was asked for. The numbers in a result are doubles, like
 * every number in JavaScript's JSON: an integer beyond 2^53 loses its last digits.
 */
export const RunResponse = Schema.Struct({
  ok: Schema.Literal(true),
  result: Schema.Json,
  duration: Millis,
  stopReason: orNull(Schema.String),
  usage: Schema.optionalKey(Usage)
}).pipe(Schema.encodeKeys({ duration: "duration_ms", stopReason: "stop_reason" }))
export type RunResponse = typeof RunResponse.Type
