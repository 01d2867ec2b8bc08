/**
 * Coding-agent sessions (Claude, and any agent that speaks ACP) as scoped Effect resources, over any clawdforge server.
 */

/** The tokens that apps come with. */
export type * as AppToken from "./AppToken.ts"

/** What programs call. */
export * as Forge from "./Forge.ts"

/** The administration of a server: app tokens, minted, listed and revoked. */
export * as ForgeAdmin from "./ForgeAdmin.ts"

/** The service behind `Forge`, and its layers. */
export * as ForgeClient from "./ForgeClient.ts"

/** The four errors with their reasons, and what each operation can fail with. */
export * as ForgeError from "./ForgeError.ts"
export { ApiError, AuthError, SessionClosed, TransportError } from "./ForgeError.ts"

/** Whether a server is alive, and what it can do. */
export type * as Health from "./Health.ts"

/** The bounds of retries. */
export type * as RetryPolicy from "./RetryPolicy.ts"

/** One prompt, one answer. */
export type * as Run from "./Run.ts"

/** The handle of a session. */
export * as Session from "./Session.ts"

/** What is known of a session. */
export * as SessionInfo from "./SessionInfo.ts"

/** Spans, metrics, and how to turn them off. */
export * as Telemetry from "./Telemetry.ts"

/** One turn of a session. */
export * as Turn from "./Turn.ts"

/** What happens in a turn. */
export * as TurnEvent from "./TurnEvent.ts"

/** Files that an agent can read. */
export * as Upload from "./Upload.ts"
