/**
 * Maps a failure response to a typed error.
 */
import { Clock, DateTime, Duration, Effect, Option, Redacted, Result, Schema } from "effect"
import type { HttpClientResponse } from "effect/http"
import * as Failures from "../../wire/Failures.ts"
import {
  ApiError,
  type ApiErrors,
  AuthError,
  type CommonStatus,
  Invalid,
  type Issue,
  NotFound,
  type Outcome,
  PoolFull,
  RateLimited,
  type Reasons,
  RunFailed,
  FileChanged,
  SessionClosed,
  OtherServer,
  ShuttingDown,
  type Status,
  StorageUnavailable,
  TokenExists,
  TooLarge,
  TooManyRuns,
  type TransportError,
  Unexpected
} from "../../ForgeError.ts"
import type { SessionId } from "../../SessionInfo.ts"
import type { CallInfo } from "../calls/Operation.ts"
import { type Body, parseJson } from "../Body.ts"
import * as Message from "./Message.ts"
import * as Secrets from "./Secrets.ts"

/** A failure response, read and interpreted as far as every status shares it. */
interface FailureResponse {
  readonly call: CallInfo & {
    readonly requestId: string | undefined
    readonly message: string
    readonly retryAfter: Duration.Duration | undefined
  }
  readonly status: number
  readonly json: unknown
  readonly body: Redacted.Redacted
  readonly secrets: ReadonlyArray<string>
  readonly sessionId: SessionId | undefined
  /** Whether a refusal is one of the whole call, and not only of its last attempt. */
  readonly refusal: Extract<Outcome, "refused" | "unknown">
}

const decodeRunFailed = Schema.decodeUnknownOption(Failures.RunFailed)
const isDetail = Schema.is(Failures.Detail)

const isInvalid = Schema.is(Failures.LooselyInvalid)

/** Whether a body has the form of the contract's refusals, which a proxy's page has not. */
const isOfContractForm = (json: unknown): boolean => isDetail(json) || isInvalid(json)

const unexpected = (response: FailureResponse): Unexpected =>
  new Unexpected({ status: response.status, body: response.body })

const detailOf = (response: FailureResponse): string | undefined =>
  isDetail(response.json) ? response.json.detail : undefined

const issuesOf = ({ call, json, secrets }: FailureResponse): ReadonlyArray<Issue> => {
  const issues = Message.issuesOf(json)
  return issues.length === 0
    ? [{ path: [], message: call.message }]
    : issues.map(({ message, path }) => ({
        path: path.map((key) => (typeof key === "string" ? Message.clean(key, secrets) : key)),
        message: Message.clean(message, secrets)
      }))
}

const notFound = (response: FailureResponse): NotFound | Unexpected => {
  const detail = detailOf(response)
  switch (detail) {
    case undefined:
      return unexpected(response)
    case Failures.sentences.fileNotFound:
      return new NotFound({ resource: "file" })
    case Failures.sentences.tokenNotFound:
      return new NotFound({ resource: "token" })
    case Failures.sentences.notFound:
      return new NotFound({ resource: "path" })
    default:
      return new NotFound({ resource: "session" })
  }
}

/** One 502 of the contract means that the outcome is unknown: that of a call which the end of the server cut short. */
const outcomeOfRun = (reason: RunFailed | Unexpected): Outcome =>
  reason._tag === "RunFailed" && !Failures.isOutcomeUnknown(reason.error) ? "acted" : "unknown"

const runFailed = (response: FailureResponse): RunFailed | Unexpected =>
  Option.match(decodeRunFailed(response.json), {
    onNone: () => unexpected(response),
    onSome: ({ duration, stderr, stopReason }) =>
      new RunFailed({
        error: response.call.message,
        stderr: Redacted.make(stderr),
        duration,
        stopReason: stopReason === null ? null : Message.clean(stopReason, response.secrets)
      })
  })

const unavailable = (response: FailureResponse): Reasons[503] => {
  switch (Failures.refusalOf(detailOf(response) ?? "")) {
    case "PoolFull":
      return new PoolFull()
    case "TooManyRuns":
      return new TooManyRuns()
    case "ShuttingDown":
      return new ShuttingDown()
    case "StorageUnavailable":
      return new StorageUnavailable()
    case "OtherServer":
      return new OtherServer()
    default:
      return unexpected(response)
  }
}

const isOfContract = (reason: { readonly _tag: string }): boolean => reason._tag !== "Unexpected"

const makers: { readonly [S in Status]: (response: FailureResponse) => ApiError<S> } = {
  400: (response) => {
    // A request that the server gave up waiting for may have been read to its end.
    const outcome: Outcome = response.status === 408 ? "unknown" : response.refusal
    return new ApiError({ ...response.call, status: 400, outcome, reason: unexpected(response) })
  },
  // What is gone may be gone by an earlier attempt.
  404: (response) =>
    new ApiError({ ...response.call, status: 404, outcome: response.refusal, reason: notFound(response) }),
  409: (response) => {
    const reason = detailOf(response) === undefined ? unexpected(response) : new TokenExists()
    return new ApiError({ ...response.call, status: 409, outcome: response.refusal, reason })
  },
  410: (response) =>
    new ApiError({ ...response.call, status: 410, outcome: response.refusal, reason: unexpected(response) }),
  412: (response) => {
    const reason = detailOf(response) === undefined ? unexpected(response) : new FileChanged()
    return new ApiError({ ...response.call, status: 412, outcome: response.refusal, reason })
  },
  413: (response) => new ApiError({ ...response.call, status: 413, outcome: response.refusal, reason: new TooLarge() }),
  422: (response) => {
    const reason = new Invalid({ issues: issuesOf(response) })
    return new ApiError({ ...response.call, status: 422, outcome: response.refusal, reason })
  },
  429: (response) => new ApiError({ ...response.call, status: 429, outcome: "refused", reason: new RateLimited() }),
  500: (response) => {
    // The contract's own 502 says that the agent ran, even where the operation does not declare it.
    const outcome: Outcome = response.status === 502 && isOfContract(runFailed(response)) ? "acted" : "unknown"
    return new ApiError({ ...response.call, status: 500, outcome, reason: unexpected(response) })
  },
  502: (response) => {
    const reason = runFailed(response)
    return new ApiError({ ...response.call, status: 502, outcome: outcomeOfRun(reason), reason })
  },
  503: (response) => {
    const reason = unavailable(response)
    return new ApiError({
      ...response.call,
      status: 503,
      outcome: isOfContract(reason) ? "refused" : "unknown",
      reason
    })
  }
}

/** What a call of these statuses can fail with; a declared 410 of the contract's own is `SessionClosed`. */
export type CallError<S extends Status> =
  | AuthError
  | ApiErrors<S | CommonStatus>
  | TransportError
  | (410 extends S ? SessionClosed : never)

const isOneOf =
  <S extends Status>(declared: ReadonlyArray<S>) =>
  (status: number): status is S =>
    declared.some((one) => one === status)

/** A status that the operation did not declare stands for its class (RFC 9110, section 15). */
const classOf = (status: number): CommonStatus => (status === 429 || status === 503 ? status : status < 500 ? 400 : 500)

const make = <S extends Status>(status: S, failure: FailureResponse): CallError<S> => {
  const error: ApiError<S> | SessionClosed =
    status === 410 && failure.sessionId !== undefined && isDetail(failure.json)
      ? // The contract's own body: a proxy's 410 says nothing about the session.
        new SessionClosed({ sessionId: failure.sessionId, by: "server" })
      : makers[status](failure)
  // Boundary: of the type checker. `ApiErrors<S>` is `ApiError<S>` taken member by member, which it does not see for an
  // open `S`, nor that only an `S` with 410 has `SessionClosed`.
  return error as CallError<S>
}

export interface Options<S extends Status> {
  readonly call: CallInfo
  readonly operation: { readonly statuses: ReadonlyArray<S> }
  readonly secrets: ReadonlyArray<string>
  /** The session that the call is about, where it declares 410. */
  readonly sessionId: SessionId | undefined
  /** Whether the server may have acted on an earlier attempt. */
  readonly priorOutcomeUnknown: boolean
  /** Whether the server remembers the call by its key, and so answers for the attempts before too. */
  readonly isRemembered: boolean
}

/** The head of a response, as far as a failure depends on it. */
type Head = Pick<HttpClientResponse.HttpClientResponse, "headers" | "status">

/** The error of a response with a status of 400 or more. */
export const fromResponse = Effect.fnUntraced(function* <S extends Status>(
  response: Head,
  body: Body,
  options: Options<S>
): Effect.fn.Return<CallError<S>> {
  const { call, isRemembered, operation, priorOutcomeUnknown, secrets, sessionId } = options
  const { status } = response
  const json = Result.getOrUndefined(parseJson(body))
  const requestId = requestIdOf(response, secrets)
  const message = Message.fromResponse({ status, json, text: body.text, secrets })
  if (status === 401 || status === 403) return new AuthError({ ...call, status, requestId, message })
  const failure: FailureResponse = {
    call: { ...call, requestId, message, retryAfter: yield* retryAfterOf(response) },
    status,
    json,
    // A 422 repeats the input that it rejects, which must not end up here.
    body: Redacted.make(status === 422 ? message : body.text.slice(0, 2000).toWellFormed()),
    secrets,
    sessionId,
    refusal: priorOutcomeUnknown && !(isRemembered && isOfContractForm(json)) ? "unknown" : "refused"
  }
  return isOneOf(operation.statuses)(status) ? make(status, failure) : make(classOf(status), failure)
})

/** The server's id of the call, where it is one that may be printed. */
export const requestIdOf = (response: Pick<Head, "headers">, secrets: ReadonlyArray<string>): string | undefined => {
  const id = response.headers["x-request-id"]
  return id !== undefined && /^[A-Za-z0-9._-]{1,128}$/.test(id) && Secrets.scrub(id, secrets) === id ? id : undefined
}

/**
 * How long the server asks to wait: `Retry-After-Ms`, which some services send for short waits, else `Retry-After` in seconds
 * or as a date (RFC 9110, section 10.2.3). Any other form is ignored.
 */
const retryAfterOf = Effect.fnUntraced(function* ({ headers }: Pick<Head, "headers">) {
  const millis = headers["retry-after-ms"]?.trim() ?? ""
  if (/^\d+(\.\d+)?$/.test(millis)) return Duration.millis(Number(millis))
  const header = headers["retry-after"]?.trim() ?? ""
  if (/^\d+$/.test(header)) return Duration.seconds(Number(header))
  // `Date` would also read "-5" and "1.5", as months.
  const at = /^[A-Z][a-z]+, .* GMT$/.test(header) ? Option.getOrUndefined(DateTime.make(header)) : undefined
  if (at === undefined) return undefined
  const now = yield* Clock.currentTimeMillis
  return Duration.millis(Math.max(0, DateTime.toEpochMillis(at) - now))
})
