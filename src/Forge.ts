/**
 * What programs call: coding-agent sessions as scoped resources, through the `ForgeClient` of the context.
 *
 * `session` and `withSession` open a session that is closed for you, `attach` borrows one, `run` needs none. The client
 * (`NodeForgeClient`, an embedded server, a fake) is provided once, as a layer, at the edge of the program.
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
import { Effect, type Scope, Stream } from "effect"
import { ForgeClient } from "./ForgeClient.ts"
import type { Agent } from "./Agents.ts"
import type {
  AgentsError,
  CreateError,
  HealthError,
  ListError,
  RunError,
  StateError,
  UploadError
} from "./ForgeError.ts"
import type { Health } from "./Health.ts"
import type { Part as RunPart, Run, RunOptions, RunStreamOptions } from "./Run.ts"
import type { Session } from "./Session.ts"
import type { ListOptions, SessionFilter, SessionId, SessionOptions, SessionState } from "./SessionInfo.ts"
import type { Source, UploadedFile, UploadOptions } from "./Upload.ts"

/**
 * Opens a session and closes it when the scope ends, by success, failure or interruption.
 *
 * The sessions of one scope close in parallel: the scope waits for all of them together, 5 seconds at most. That neither fails the program nor hides how it failed: a session that could not be
 * closed is logged as a warning and counted, and the server closes it once it has been idle for long enough. Interrupting
 * the opening returns at once; a session that the server creates all the same is closed in the background.
 */
export const session: (options?: SessionOptions) => Effect.Effect<Session, CreateError, ForgeClient | Scope.Scope> = (
  options
) => ForgeClient.use((client) => client.session(options))

/** Opens a session for the length of one function. */
export const withSession = <A, E, R>(
  options: SessionOptions,
  use: (session: Session) => Effect.Effect<A, E, R>
): Effect.Effect<A, E | CreateError, Exclude<R, Scope.Scope> | ForgeClient> =>
  Effect.scoped(Effect.flatMap(session(options), use))

/**
 * Opens a session that no scope closes: keep its id, and close it with `close`, or leave it to the server, which closes it
 * once it has been idle for long enough.
 */
export const open = (options?: SessionOptions): Effect.Effect<Session, CreateError, ForgeClient> =>
  ForgeClient.use((client) => client.open(options))

/** Borrows a session by its id. Nothing closes it at the end; two handles on one session are ordered only by the server. */
export const attach: (id: SessionId) => Effect.Effect<Session, StateError, ForgeClient> = (id) =>
  ForgeClient.use((client) => client.attach(id))

/**
 * The newest sessions of this app, newest first: 1,000 at most, unless `limit` is another number. Closed ones are listed
 * too, unless `includeClosed` is false.
 */
export const sessions = (options?: ListOptions): Effect.Effect<ReadonlyArray<SessionState>, ListError, ForgeClient> =>
  ForgeClient.use((client) => client.sessions(options))

/**
 * All sessions of this app, newest first, read page by page as they are taken. Use it where there may be more than fit in
 * memory; sessions that are opened meanwhile are not in it.
 */
export const sessionsStream = (options?: SessionFilter): Stream.Stream<SessionState, ListError, ForgeClient> =>
  Stream.unwrap(ForgeClient.useSync((client) => client.sessionsStream(options)))

/** Runs one prompt without a session, for a question that stands alone. */
export const run = (prompt: string, options?: RunOptions): Effect.Effect<Run, RunError, ForgeClient> =>
  ForgeClient.use((client) => client.run(prompt, options))

/** The same with the events of the run as they happen, and the run as the last part. */
export const runStream = (prompt: string, options?: RunStreamOptions): Stream.Stream<RunPart, RunError, ForgeClient> =>
  Stream.unwrap(ForgeClient.useSync((client) => client.runStream(prompt, options)))

/** Uploads a file for an agent to read. It also fails with the errors of its source. */
export const upload = <E = never, R = never>(
  source: Source<E, R>,
  options?: UploadOptions
): Effect.Effect<UploadedFile, E | UploadError, R | ForgeClient> =>
  ForgeClient.use((client) => client.upload(source, options))

/** The agents of the server, what they offer, and which is the default. */
export const agents: Effect.Effect<ReadonlyArray<Agent>, AgentsError, ForgeClient> = ForgeClient.use(
  (client) => client.agents
)

/** Whether the server is alive, its versions, and what it adds to the contract. */
export const health: Effect.Effect<Health, HealthError, ForgeClient> = ForgeClient.use((client) => client.health)
