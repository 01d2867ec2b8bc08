/**
 * The four ways in which a call can fail.
 *
 * - `AuthError`: the server does not know the token (401), or refuses the address (403).
 * - `ApiError`: the server answered with a failure status, or this client refused the input. `status` is part of the type,
 *   and `reason` says how the call failed.
 * - `TransportError`: there was no response, or none that could be read.
 * - `SessionClosed`: the session is closed, by this client or by the server.
 *
 * `ApiError` and `TransportError` carry an `outcome`: whether the server may have acted on the call. The type of every
 * operation lists exactly the errors it can fail with, statuses included, so a program can handle all of them.
 *
 * **Example** (Handling a turn that failed)
 *
 * ```ts
 * import { Effect } from "effect"
 * import { ApiError, Forge } from "effect-clawdforge"
 *
 * const answer = Forge.withSession({ agent: "claude" }, (session) => session.turn("Count the lines.")).pipe(
 *   Effect.map((turn) => turn.text),
 *   // One reason: the agent failed.
 *   Effect.catchReason("ApiError", "RunFailed", ({ error, stopReason }) => Effect.succeed(`${stopReason}: ${error}`)),
 *   // One status, whatever its reason.
 *   Effect.catchIf(ApiError.is(503), ({ retryAfter }) => Effect.succeed(`try again in ${retryAfter ?? "a while"}`)),
 *   // No response: the outcome says whether the agent may have read the prompt all the same.
 *   Effect.catchTag("TransportError", (error) => Effect.succeed(`${error.reason._tag}, ${error.outcome}`))
 * )
 * ```
 */
import { Data, type Duration, type Redacted } from "effect"
import type { SessionId } from "./SessionInfo.ts"

/**
 * Whether the server may have acted on a call that failed.
 *
 * - `not-sent`: the request never left.
 * - `refused`: the server said that it did nothing.
 * - `unknown`: it may have acted or not.
 * - `acted`: it did act, and that is what failed, or what its unreadable answer was about.
 */
export type Outcome = "not-sent" | "refused" | "unknown" | "acted"

/** The call that failed. */
interface Call {
  /** The operation of this library, such as `Session.turn`. */
  readonly operation: string
  readonly method: string
  readonly path: string
  /** The server's `X-Request-Id`, where it sent one. */
  readonly requestId: string | undefined
  /** The name of the file, of an upload. */
  readonly file?: string | undefined
}

/** Which call failed, as a line below the message wherever an error is printed; `message` has the reason alone. */
const withCall = (error: Error & Call): void => {
  const head = `${error.name}: ${error.message}`
  const { file, method, operation, path, requestId, stack = head } = error
  const request = method === "" ? "" : ` (${method} ${path})`
  const upload = file === undefined ? "" : ` of ${JSON.stringify(file)}`
  const id = requestId === undefined ? "" : `, request ${requestId}`
  const frames = stack.startsWith(head) ? stack.slice(head.length) : ""
  error.stack = `${head}\n    in ${operation}${upload}${request}${id}${frames}`
}

// ---------------------------------------------------------------------------------------------------------------------
// AuthError
// ---------------------------------------------------------------------------------------------------------------------

interface AuthFailure extends Call {
  readonly status: 401 | 403
  readonly message: string
}

/**
 * The token is missing, unknown or revoked (401), or the address is not allowed (403).
 */
export class AuthError extends Data.TaggedError("AuthError")<AuthFailure> {
  constructor(fields: AuthFailure) {
    super(fields)
    withCall(this)
  }
}

// ---------------------------------------------------------------------------------------------------------------------
// ApiError
// ---------------------------------------------------------------------------------------------------------------------

/** One thing that is wrong with an input: where, and what it must be. */
export interface Issue {
  readonly path: ReadonlyArray<string | number>
  readonly message: string
}

/** The input is not valid. The input itself is not kept in the error. */
export class Invalid extends Data.TaggedClass("Invalid")<{ readonly issues: ReadonlyArray<Issue> }> {}

/** It does not exist, or belongs to another app: a server answers both alike. */
export class NotFound extends Data.TaggedClass("NotFound")<{
  readonly resource: "session" | "file" | "token" | "path"
}> {}

/** A live token of that name exists already. */
export class TokenExists extends Data.TaggedClass("TokenExists") {}

/** The file is not as the call has it: another tag, or there already. */
export class FileChanged extends Data.TaggedClass("FileChanged") {}

/** The request is larger than the server takes. */
export class TooLarge extends Data.TaggedClass("TooLarge") {}

/** Too many requests of this app. */
export class RateLimited extends Data.TaggedClass("RateLimited") {}

/** The agent failed: the turn or run was handed to it and counts. */
export class RunFailed extends Data.TaggedClass("RunFailed")<{
  readonly error: string
  /** The last of what the agent wrote to its standard error. */
  readonly stderr: Redacted.Redacted
  readonly duration: Duration.Duration
  /** `timeout` where the turn outlived its timeout. */
  readonly stopReason: string | null
}> {}

/** An answer that could not be decoded. */
export interface OutputAttempt {
  /** What the agent answered. */
  readonly text: Redacted.Redacted
  /** Why it could not be decoded, as it was sent to the agent. */
  readonly error: Redacted.Redacted
}

/** None of the agent's answers could be decoded by the Schema. */
export class OutputMismatch extends Data.TaggedClass("OutputMismatch")<{
  /** All answers, in order. */
  readonly attempts: ReadonlyArray<OutputAttempt>
}> {}

/** The server has as many open sessions as it allows. */
export class PoolFull extends Data.TaggedClass("PoolFull") {}

/** The server has as many running runs as it allows. */
export class TooManyRuns extends Data.TaggedClass("TooManyRuns") {}

/** The server is stopping and takes no new work. */
export class ShuttingDown extends Data.TaggedClass("ShuttingDown") {}

/** The server cannot reach its storage for now, and did nothing. */
export class StorageUnavailable extends Data.TaggedClass("StorageUnavailable") {}

/** 503: of several servers on one ledger, this one does not have the session. */
export class OtherServer extends Data.TaggedClass("OtherServer") {}

/** A response that is not the contract's own: a proxy's, or an unhandled failure of the server. */
export class Unexpected extends Data.TaggedClass("Unexpected")<{
  /** The status of the response. */
  readonly status: number
  /** The body, cut at 2,000 characters. */
  readonly body: Redacted.Redacted
}> {}

/** The reasons that go with a status. */
export interface Reasons {
  readonly 400: Unexpected
  readonly 404: NotFound | Unexpected
  readonly 409: TokenExists | Unexpected
  readonly 410: Unexpected
  readonly 412: FileChanged | Unexpected
  readonly 413: TooLarge
  readonly 422: Invalid
  readonly 429: RateLimited
  readonly 500: Unexpected
  readonly 502: RunFailed | Unexpected
  readonly 503: PoolFull | TooManyRuns | ShuttingDown | StorageUnavailable | OtherServer | Unexpected
}

/**
 * The statuses that an `ApiError` can have. 400 and 500 also stand for every other status of their class; the reason then
 * holds the status of the response.
 */
export type Status = keyof Reasons

interface ApiFailure<S extends Status, R> extends Call {
  readonly status: S
  readonly message: string
  readonly outcome: Outcome
  readonly reason: R
  /** How long the server asks to wait before another attempt. */
  readonly retryAfter: Duration.Duration | undefined
}

/**
 * The server answered with a failure status, or (422 with `outcome: "not-sent"`) the input was refused before it was sent.
 *
 * **Example** (Handling one status)
 *
 * ```ts
 * import { Effect } from "effect"
 * import { ApiError, Forge } from "effect-clawdforge"
 *
 * const program = Effect.scoped(Forge.session({ agent: "claude" })).pipe(
 *   Effect.catchIf(ApiError.is(503), (error) => Effect.logWarning(error.reason._tag))
 * )
 * ```
 */
export class ApiError<const S extends Status = Status, R = Reasons[S]> extends Data.TaggedError("ApiError")<
  ApiFailure<S, R>
> {
  constructor(fields: ApiFailure<S, R>) {
    super(fields)
    withCall(this)
  }

  /**
   * Whether an error is an `ApiError` of one of these statuses; narrows, and leaves the others in the error type. It leaves
   * `OutputMismatch` too, which `Effect.catchReason` handles.
   */
  static is<const S extends Status>(...statuses: ReadonlyArray<S>): (error: unknown) => error is ApiErrors<S> {
    const wanted: ReadonlySet<number> = new Set(statuses)
    return (error): error is ApiErrors<S> =>
      error instanceof ApiError && wanted.has(error.status) && !(error.reason instanceof OutputMismatch)
  }
}

/** One `ApiError` per status: a union that can be handled away member by member. */
export type ApiErrors<S extends Status> = S extends Status ? ApiError<S> : never

// ---------------------------------------------------------------------------------------------------------------------
// TransportError
// ---------------------------------------------------------------------------------------------------------------------

/** No connection could be made: refused, no such host, no TLS, or not in time. */
export class Connect extends Data.TaggedClass("Connect")<{ readonly code: string | undefined }> {}

/**
 * The connection broke before the response was complete. The code is `EVENT_GAP` where a stream was opened again, and the
 * server no longer kept the events that were missed.
 */
export class Reset extends Data.TaggedClass("Reset")<{ readonly code: string | undefined }> {}

/** The response was not complete in time. */
export class Timeout extends Data.TaggedClass("Timeout")<{ readonly after: Duration.Duration }> {}

/** The response is not of this contract: not JSON, of another shape, too large, or a redirect. */
export class Malformed extends Data.TaggedClass("Malformed")<{
  readonly status: number
  readonly description: string
}> {}

interface TransportFailure extends Call {
  readonly message: string
  readonly outcome: Outcome
  readonly reason: Connect | Reset | Timeout | Malformed
}

/** There was no response, or none that could be read. */
export class TransportError extends Data.TaggedError("TransportError")<TransportFailure> {
  constructor(fields: TransportFailure) {
    super(fields)
    withCall(this)
  }
}

// ---------------------------------------------------------------------------------------------------------------------
// SessionClosed
// ---------------------------------------------------------------------------------------------------------------------

/** The session is closed: it takes no more turns. */
export class SessionClosed extends Data.TaggedError("SessionClosed")<{
  readonly sessionId: SessionId
  /**
   * `client` where this handle closed it; `server` where a turn found it closed on the server: idle for too long, its token
   * revoked, or closed through another handle, in this program or elsewhere.
   */
  readonly by: "client" | "server"
}> {
  override get message(): string {
    return this.by === "client"
      ? `session ${this.sessionId} is closed: open another with Forge.session`
      : `session ${this.sessionId} is closed on the server (idle for too long, revoked, or by another handle): open another with Forge.session`
  }
}

// ---------------------------------------------------------------------------------------------------------------------
// What each operation can fail with
// ---------------------------------------------------------------------------------------------------------------------

/** The statuses that every call can get, from the server or from a proxy in front of it. */
export type CommonStatus = 400 | 429 | 500 | 503

/** What `Forge.health` can fail with. */
export type HealthError = AuthError | ApiErrors<CommonStatus> | TransportError

/** What opening a session can fail with. */
export type CreateError = AuthError | ApiErrors<CommonStatus | 413 | 422 | 502> | TransportError

/** What `Forge.sessions` can fail with. */
export type ListError = AuthError | ApiErrors<CommonStatus | 422> | TransportError

/** What `Forge.agents` can fail with. */
export type AgentsError = AuthError | ApiErrors<CommonStatus | 404> | TransportError

/** What reading a session's state can fail with. */
export type StateError = AuthError | ApiErrors<CommonStatus | 404 | 422> | TransportError

/** What reading a session's diff can fail with. */
export type DiffError = AuthError | ApiErrors<CommonStatus | 404 | 413 | 422 | 502> | TransportError

/** What closing a session can fail with. */
export type CloseError = AuthError | ApiErrors<CommonStatus | 404 | 422> | TransportError

/** What cancelling a turn can fail with. */
export type CancelError = AuthError | ApiErrors<CommonStatus | 404 | 422> | TransportError

/** What `Forge.run` can fail with. */
export type RunError = AuthError | ApiErrors<CommonStatus | 404 | 413 | 422 | 502> | TransportError

/** What `Forge.upload` can fail with, besides the errors of its source. */
export type UploadError = AuthError | ApiErrors<CommonStatus | 413 | 422> | TransportError

/** What `ForgeAdmin.mint` can fail with. */
export type MintError = AuthError | ApiErrors<CommonStatus | 409 | 422> | TransportError

/** What `ForgeAdmin.list` can fail with. */
export type TokensError = AuthError | ApiErrors<CommonStatus> | TransportError

/** What `ForgeAdmin.revoke` can fail with. */
export type RevokeError = AuthError | ApiErrors<CommonStatus | 404 | 422> | TransportError

/** What a call about the files of a session can fail with. */
export type FilesError =
  | AuthError
  | ApiErrors<CommonStatus | 404 | 410 | 412 | 413 | 422>
  | TransportError
  | SessionClosed

/** What a turn can fail with. */
export type TurnError =
  | AuthError
  | ApiErrors<CommonStatus | 404 | 410 | 413 | 422 | 502>
  | TransportError
  | SessionClosed

/** What a turn whose answer is decoded can fail with. */
export type TurnAsError = TurnError | ApiError<502, OutputMismatch>
