/**
 * What programs call: coding-agent sessions as scoped resources, over whichever `ForgeClient` they are given.
 *
 * `session` and `withSession` open a session that closes by itself, `attach` borrows one, `run` does without. Where the
 * client comes from (`NodeForgeClient`, an embedded server, a fake) is said once, with a layer, at the program's edge.
 *
 * **Example** (A session for the length of a program)
 *
 * ```ts
 * import { Effect } from "effect"
 * import { Forge } from "effect-clawdforge"
 *
 * const program = Forge.withSession({ agent: "claude" }, (session) =>
 *   Effect.gen(function* () {
 *     const turn = yield* session.turn("Read README.md and name its three main points.", { timeout: "5 minutes" })
 *     return turn.text
 *   })
 * )
 * ```
 */
import { Effect, type Scope } from "effect"
import { ForgeClient, type ListOptions } from "./ForgeClient.ts"
import type { CreateError, HealthError, ListError, RunError, StateError, UploadError } from "./ForgeError.ts"
import type { Health } from "./Health.ts"
import type { Run, RunOptions } from "./Run.ts"
import * as Session from "./Session.ts"
import type { SessionId, SessionOptions, SessionState } from "./SessionInfo.ts"
import type { Source, UploadedFile, UploadOptions } from "./Upload.ts"

/**
 * Opens a session and closes it when the scope ends, by success, failure or interruption.
 *
 * Closing it at the end takes 5 seconds at most, and neither fails the program nor hides how that failed: a session that
 * could not be closed is logged as a warning, and counted, and the server closes it when it has been idle for long enough.
 * Interrupting it while it opens returns at once; what the server made all the same is closed in the background.
 */
export const session: (
  options?: SessionOptions
) => Effect.Effect<Session.Session, CreateError, ForgeClient | Scope.Scope> = Session.acquire

/** Opens a session for the length of one function. */
export const withSession = <A, E, R>(
  options: SessionOptions,
  use: (session: Session.Session) => Effect.Effect<A, E, R>
): Effect.Effect<A, E | CreateError, Exclude<R, Scope.Scope> | ForgeClient> =>
  Effect.scoped(Effect.flatMap(session(options), use))

/**
 * Borrows a session that somebody else owns, by its id. Nothing closes it at the end; two handles on one session are
 * ordered by the server only.
 */
export const attach: (id: SessionId) => Effect.Effect<Session.Session, StateError, ForgeClient> = Session.attach

/** The sessions of this app, newest first; closed ones too, unless `includeClosed` is false. */
export const sessions = (options?: ListOptions): Effect.Effect<ReadonlyArray<SessionState>, ListError, ForgeClient> =>
  ForgeClient.use((client) => client.listSessions(options))

/** Asks one prompt, without a session. For a question that stands alone. */
export const run = (prompt: string, options?: RunOptions): Effect.Effect<Run, RunError, ForgeClient> =>
  ForgeClient.use((client) => client.run(prompt, options))

/** Uploads a file for an agent to read. It fails also with what reading the file fails with. */
export const upload = <E = never, R = never>(
  source: Source<E, R>,
  options?: UploadOptions
): Effect.Effect<UploadedFile, E | UploadError, R | ForgeClient> =>
  ForgeClient.use((client) => client.upload(source, options))

/** Whether the server is alive, its versions, and what it adds to the contract. */
export const health: Effect.Effect<Health, HealthError, ForgeClient> = ForgeClient.use((client) => client.health)
