/**
 * `POST /run`: one prompt, one answer, no session.
 */
import { type Duration, Schema } from "effect"
import {
  AgentName,
  FileTokenText,
  Linger,
  Millis,
  ModelName,
  NotBlank,
  nullable,
  orNull,
  renamed,
  Seconds
} from "./Ids.ts"
import { type Usage, usage } from "./Usage.ts"

/** Whether a system prompt is appended to the agent's own, or replaces it. */
export const SystemMode = Schema.Literals(["append", "replace"])

/** How hard the model is to think. */
export const Effort = Schema.Literals(["low", "medium", "high", "xhigh", "max"])

/** The body of a run. */
export const RunRequest = Schema.Struct({
  prompt: NotBlank,
  /** For servers that name `agents`. */
  agent: nullable(AgentName),
  model: nullable(ModelName),
  system: nullable(NotBlank),
  systemMode: nullable(SystemMode),
  effort: nullable(Effort),
  files: nullable(Schema.Array(FileTokenText)),
  timeout: nullable(Seconds),
  linger: nullable(Linger)
}).pipe(Schema.encodeKeys({ systemMode: "system_mode", timeout: "timeout_secs", linger: "linger_secs" }))
export type RunRequest = typeof RunRequest.Type

/** A run that ended. */
export interface Run {
  /** The agent's last message, without a code fence around it: as JSON where it is JSON, else as a string. */
  readonly result: Schema.Json
  /** How long it took, by the server's clock, in whole milliseconds. */
  readonly duration: Duration.Duration
  /** Why it ended: `end_turn`, `max_tokens`, `refusal`, or what else a server says. */
  readonly stopReason: string | null
  /** As far as the agent and the server report it. */
  readonly usage?: Usage | undefined
}

const fields = {
  result: Schema.Json,
  duration: Millis,
  stopReason: orNull(Schema.String),
  usage: Schema.optional(usage)
}

const keys = { duration: "duration_ms", stopReason: "stop_reason" } as const

const runStruct = /* @__PURE__ */ renamed(fields, keys)

/** As the wire has it, without `ok`. */
export interface RunEncoded extends Schema.Codec.Encoded<typeof runStruct> {}

export const run: Schema.Codec<Run, RunEncoded> = runStruct

/**
 * The answer: these four keys, and `usage` only where it was asked for. The numbers in a result are doubles, like
 * every number in JavaScript's JSON: an integer beyond 2^53 loses its last digits.
 */
export const RunResponse = Schema.Struct({ ok: Schema.Literal(true), ...fields }).pipe(Schema.encodeKeys(keys))
export type RunResponse = typeof RunResponse.Type
