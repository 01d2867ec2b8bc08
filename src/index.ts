/**
 * Coding-agent sessions (Claude, and any agent that speaks ACP) as scoped Effect resources, over any clawdforge server.
 */

/** App tokens. */
export * as AppToken from "./AppToken.ts"

/** What programs call. */
export * as Forge from "./Forge.ts"

/** The administration of a server: minting, listing and revoking app tokens. */
export * as ForgeAdmin from "./ForgeAdmin.ts"

/** The service behind `Forge`, and its layers. */
export * as ForgeClient from "./ForgeClient.ts"

/** The four errors with their reasons, and what each operation can fail with. */
export * as ForgeError from "./ForgeError.ts"
export { ApiError, AuthError, SessionClosed, TransportError } from "./ForgeError.ts"

/** The agents of a server. */
export * as Agents from "./Agents.ts"

/** Sessions by key. */
export * as Conversations from "./Conversations.ts"

/** The health of a server, and its features. */
export * as Health from "./Health.ts"

/** The bounds of retries. */
export type * as RetryPolicy from "./RetryPolicy.ts"

/** One prompt, one answer. */
export * as Run from "./Run.ts"

/** The handle of a session. */
export type * as Session from "./Session.ts"

/** The files in the folder of a session. */
export * as SessionFiles from "./SessionFiles.ts"

/** The id, options and state of a session. */
export * as SessionInfo from "./SessionInfo.ts"

/** Spans, metrics, and their settings. */
export * as Telemetry from "./Telemetry.ts"

/** One turn of a session. */
export * as Turn from "./Turn.ts"

/** The events of a turn. */
export * as TurnEvent from "./TurnEvent.ts"

/** Files that an agent can read. */
export * as Upload from "./Upload.ts"
