/**
 * `GET /healthz`: liveness, versions, and the names of what the server adds to the contract.
 */
import { Effect, Schema } from "effect"
import { absent } from "./Ids.ts"

/** Liveness, versions, and what the server adds to the contract. A field is undefined where the server does not say. */
export interface Health {
  /** False where the server says of itself that it is not well: it answers, and calls may fail. */
  readonly ok: boolean
  /** Whether the agent `claude` is installed there. */
  readonly claudePresent: boolean
  readonly claudeVersion?: string | undefined
  /** Whether sessions can be opened. */
  readonly acpxPresent?: boolean | undefined
  readonly acpxVersion?: string | undefined
  readonly openSessions?: number | undefined
  /** The names of what the server adds to the contract: `stream`, `idempotency`, `cancel`, …; none on older ones. */
  readonly features: ReadonlyArray<string>
}

const healthStruct = Schema.Struct({
  ok: Schema.Boolean,
  claudePresent: Schema.Boolean,
  claudeVersion: absent(Schema.String),
  acpxPresent: Schema.optional(Schema.Boolean),
  acpxVersion: absent(Schema.String),
  openSessions: Schema.optional(Schema.Int),
  features: Schema.Array(Schema.String).pipe(Schema.withDecodingDefaultKey(Effect.succeed([])))
}).pipe(
  Schema.encodeKeys({
    claudePresent: "claude_present",
    claudeVersion: "claude_version",
    acpxPresent: "acpx_present",
    acpxVersion: "acpx_version",
    openSessions: "open_sessions"
  })
)

/** As the wire has it. */
export interface HealthEncoded extends Schema.Codec.Encoded<typeof healthStruct> {}

/**
 * The whole answer; a server of v0.1 sends only the first three fields. This is the only answer that may have a false
 * `ok` without being malformed: whether the server is well is the question.
 */
export const health: Schema.Codec<Health, HealthEncoded> = healthStruct
