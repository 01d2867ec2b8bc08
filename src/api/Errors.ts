/**
 * The failures of the contract, with the status and body of each.
 *
 * They carry a `_tag` in memory and none on the wire.
 */
import { Duration, Schema } from "effect"
import { HttpApiSchema } from "effect/http-api"
import * as Failures from "../wire/Failures.ts"
import { Millis } from "../wire/Ids.ts"

/** The body of a refusal with one fixed sentence. */
const sentence = <const Text extends string>(text: Text) => ({ detail: Schema.tag(text) })

/** 401: the bearer token is missing, unknown or revoked. */
export class Unauthorized extends Schema.Error<Unauthorized>("effect-clawdforge/api/Errors/Unauthorized")(
  { detail: Schema.Literals([Failures.sentences.missingBearer, Failures.sentences.invalidToken]) },
  { httpApiStatus: 401, description: "The bearer token is missing, unknown or revoked" }
) {
  readonly _tag = "Unauthorized"
}

/** 403: the bearer token is not allowed from this address. */
export class AddressNotAllowed extends Schema.Error<AddressNotAllowed>(
  "effect-clawdforge/api/Errors/AddressNotAllowed"
)(sentence(Failures.sentences.addressNotAllowed), {
  httpApiStatus: 403,
  description: "The token is not allowed from this address"
}) {
  readonly _tag = "AddressNotAllowed"
}

/** 404: no live token has this name. */
export class TokenNotFound extends Schema.Error<TokenNotFound>("effect-clawdforge/api/Errors/TokenNotFound")(
  sentence(Failures.sentences.tokenNotFound),
  { httpApiStatus: 404, description: "No live token has this name" }
) {
  readonly _tag = "TokenNotFound"
}

/** 409: a live token has this name. */
export class TokenExists extends Schema.Error<TokenExists>("effect-clawdforge/api/Errors/TokenExists")(
  sentence(Failures.sentences.tokenExists),
  { httpApiStatus: 409, description: "A live token has this name" }
) {
  readonly _tag = "TokenExists"
}

/** 404: the calling app has no session with this id. A session of another app looks the same. */
export class SessionNotFound extends Schema.Error<SessionNotFound>("effect-clawdforge/api/Errors/SessionNotFound")(
  sentence(Failures.sentences.sessionNotFound),
  { httpApiStatus: 404, description: "The app has no session with this id" }
) {
  readonly _tag = "SessionNotFound"
}

/** 404: a file token is unknown, expired, or another app's; or the session has no file of this path. */
export class FileNotFound extends Schema.Error<FileNotFound>("effect-clawdforge/api/Errors/FileNotFound")(
  sentence(Failures.sentences.fileNotFound),
  {
    httpApiStatus: 404,
    description: "A file token is unknown, expired, or of another app, or there is no file of this path"
  }
) {
  readonly _tag = "FileNotFound"
}

/** 412: the file is not as the request has it. */
export class FileChanged extends Schema.Error<FileChanged>("effect-clawdforge/api/Errors/FileChanged")(
  sentence(Failures.sentences.fileChanged),
  { httpApiStatus: 412, description: "The file is not as the condition of the request has it" }
) {
  readonly _tag = "FileChanged"
}

/** 410: the session is closed, or was closed while the turn ran or waited. */
export class SessionIsClosed extends Schema.Error<SessionIsClosed>("effect-clawdforge/api/Errors/SessionIsClosed")(
  sentence(Failures.sentences.sessionClosed),
  { httpApiStatus: 410, description: "The session is closed, or was closed while the turn ran or waited" }
) {
  readonly _tag = "SessionIsClosed"
}

/** 413: the body, or the file in it, is too large. */
export class TooLarge extends Schema.Error<TooLarge>("effect-clawdforge/api/Errors/TooLarge")(
  sentence(Failures.sentences.tooLarge),
  { httpApiStatus: 413, description: "The body, or the file in it, is too large" }
) {
  readonly _tag = "TooLarge"
}

/** An issue with the body. It does not repeat the rejected value. */
export const bodyIssue = (path: ReadonlyArray<string | number>, msg: string): Failures.Issue => ({
  loc: ["body", ...path],
  msg,
  type: "value_error"
})

/** 422: the issues with the request. */
export class Invalid extends Schema.Error<Invalid>("effect-clawdforge/api/Errors/Invalid")(Failures.Invalid.fields, {
  httpApiStatus: 422,
  description: "The request does not fit: each issue is in the list"
}) {
  readonly _tag = "Invalid"

  /** An issue with one field of the body. */
  static body(field: string, msg: string): Invalid {
    return new Invalid({ detail: [bodyIssue([field], msg)] })
  }

  /** An issue with a header, which is well-formed. */
  static header(name: string, msg: string): Invalid {
    return new Invalid({ detail: [{ loc: ["header", name], msg, type: "value_error" }] })
  }

  /** An issue with the key of a call, which is well-formed. */
  static key(msg: string): Invalid {
    return Invalid.header("idempotency-key", msg)
  }
}

/** 429: the app has reached one of its limits. */
export class TooMany extends Schema.Error<TooMany>("effect-clawdforge/api/Errors/TooMany")(
  sentence(Failures.sentences.tooMany),
  { httpApiStatus: 429, description: "The app has reached one of its limits" }
) {
  readonly _tag = "TooMany"
}

/** 502: the agent failed. */
export class RunFailed extends Schema.Error<RunFailed>("effect-clawdforge/api/Errors/RunFailed")({
  ok: Schema.tag(false),
  error: Schema.String,
  stderr: Schema.String,
  duration: Millis,
  stopReason: Schema.NullOr(Schema.String)
}) {
  readonly _tag = "RunFailed"
  /** Whether it failed before an agent had the work, so that nothing was done. Never sent. */
  readonly isBeforeWork?: boolean | undefined
  /** Whether the ledger could not be written after an agent had the work. Never sent. */
  readonly isUnrecorded?: boolean | undefined
  /** The agent, and the kind of its failure: for the server's log, never sent. */
  readonly origin?: { readonly agent: string; readonly kind: string } | undefined

  /** The same failure, with the agent that it is of. */
  static of(failure: RunFailed, origin: RunFailed["origin"]): RunFailed {
    return Object.assign(failure, { origin })
  }

  /** The same failure, of an agent that never had the work. */
  static beforeWork(failure: RunFailed): RunFailed {
    return Object.assign(failure, { isBeforeWork: true })
  }

  /** Of work that an agent had, and whose end could not be recorded: its outcome is unknown. */
  static unrecorded(): RunFailed {
    const failure = { error: Failures.sentences.cutByFailure, stderr: "", duration: Duration.zero, stopReason: "error" }
    return Object.assign(new RunFailed(failure), { isUnrecorded: true })
  }
}

/** The body of a 502. */
export const RunFailedBody = RunFailed.pipe(
  Schema.encodeKeys({ duration: "duration_ms", stopReason: "stop_reason" }),
  Schema.annotate({ description: "The agent failed" }),
  HttpApiSchema.status(502)
)

/** 503: the server has reached its limit of open sessions, or has no process for an agent. */
export class PoolFull extends Schema.Error<PoolFull>("effect-clawdforge/api/Errors/PoolFull")(
  sentence(Failures.sentences.poolFull),
  {
    httpApiStatus: 503,
    description: "The server has reached its limit of open sessions, or has no process for an agent"
  }
) {
  readonly _tag = "PoolFull"
}

/** 503: the server has reached its limit of concurrent runs. */
export class TooManyRuns extends Schema.Error<TooManyRuns>("effect-clawdforge/api/Errors/TooManyRuns")(
  sentence(Failures.sentences.tooManyRuns),
  { httpApiStatus: 503, description: "The server has reached its limit of concurrent runs" }
) {
  readonly _tag = "TooManyRuns"
}

/** 503: the server takes no work now; the detail is the reason. */
export class NotReady extends Schema.Error<NotReady>("effect-clawdforge/api/Errors/NotReady")(Failures.Detail.fields, {
  httpApiStatus: 503,
  description: "The server takes no work now: the detail is the reason"
}) {
  readonly _tag = "NotReady"
}

/** 503: the server's database cannot be used. No agent was handed the request, so it may be repeated. */
export class StorageUnavailable extends Schema.Error<StorageUnavailable>(
  "effect-clawdforge/api/Errors/StorageUnavailable"
)(sentence(Failures.sentences.storageUnavailable), {
  httpApiStatus: 503,
  description: "The storage of the server cannot be used: no agent had the request, which may be repeated"
}) {
  readonly _tag = "StorageUnavailable"
  /** The failure of the database: for the server's log, never sent. */
  override readonly cause?: unknown

  static from(cause: unknown): StorageUnavailable {
    return Object.assign(new StorageUnavailable(), { cause })
  }

  override get message(): string {
    return this.cause instanceof Error ? this.cause.message : this.detail
  }
}
