/**
 * `GET /healthz`: liveness, versions, and the names of what the server adds to the contract.
 */
import { Effect, Schema } from "effect"
import { orNull } from "./Ids.ts"

/**
 * The answer; a server of v0.1 sends only the first three fields. This is the only answer that may have a false `ok`
 * without being malformed: whether the server is well is what was asked.
 */
export const Health = Schema.Struct({
  ok: Schema.Boolean,
  claudePresent: Schema.Boolean,
  claudeVersion: orNull(Schema.String),
  acpxPresent: Schema.optionalKey(Schema.Boolean),
  acpxVersion: Schema.optionalKey(Schema.NullOr(Schema.String)),
  openSessions: Schema.optionalKey(Schema.Int),
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
export type Health = typeof Health.Type
