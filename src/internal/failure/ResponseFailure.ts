/**
 * From an answer that is not a success to the error that says so.
 */
import { Clock, DateTime, Duration, Effect, Option, Redacted, Result, Schema } from "effect"
import type { HttpClientResponse } from "effect/http"
import * as Failures from "../../wire/Failures.ts"
import {
  ApiError,
  type ApiErrors,
  AuthError,
  Invalid,
  type Issue,
  NotFound,
  type Outcome,
  PoolFull,
  RateLimited,
  RunFailed,
  ShuttingDown,
  type Status,
  TokenExists,
  TooLarge,
  TooManyRuns,
  Unexpected
} from "../../ForgeError.ts"
import { type Body, parseJson } from "../exchange/Body.ts"
import * as Message from "./Message.ts"
import type { CallInfo } from "../calls/Operation.ts"
import * as Secrets from "./Secrets.ts"

/** An answer that is not a success, as it was read. */
interface Answer {
  readonly call: CallInfo & {
    readonly requestId: string | undefined
    readonly message: string
    readonly retryAfter: Duration.Duration | undefined
  }
  readonly status: number
  readonly json: unknown
  readonly body: Redacted.Redacted
  readonly secrets: ReadonlyArray<string>
  /** Whether the server may have acted on an earlier try. */
  readonly isOpen: boolean
}

const decodeRunFailed = Schema.decodeUnknownOption(Failures.RunFailed)
const isDetail = Schema.is(Failures.Detail)

const unexpected = (answer: Answer): Unexpected => new Unexpected({ status: answer.status, body: answer.body })

const detailOf = (answer: Answer): string | undefined => (isDetail(answer.json) ? answer.json.detail : undefined)

const issuesOf = ({ call, json, secrets }: Answer): ReadonlyArray<Issue> => {
  const issues = Message.issuesOf(json)
  return issues.length === 0
    ? [{ path: [], message: call.message }]
    : issues.map(({ message, path }) => ({
        path: path.map((key) => (typeof key === "string" ? Message.tell(key, secrets) : key)),
        message: Message.tell(message, secrets)
      }))
}

const notFound = (answer: Answer): NotFound | Unexpected => {
  const detail = detailOf(answer)
  switch (detail) {
    case undefined:
      return unexpected(answer)
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

/** One failure of the contract says that nobody knows what was done: that of a call cut short by the server's end. */
const outcomeOfRun = (reason: RunFailed | Unexpected): Outcome =>
  reason._tag === "RunFailed" && !reason.error.startsWith("outcome unknown") ? "acted" : "unknown"

const runFailed = (answer: Answer): RunFailed | Unexpected =>
  Option.match(decodeRunFailed(answer.json), {
    onNone: () => unexpected(answer),
    onSome: ({ duration, stderr, stopReason }) =>
      new RunFailed({
        error: answer.call.message,
        stderr: Redacted.make(stderr),
        duration,
        stopReason: stopReason === null ? null : Message.tell(stopReason, answer.secrets)
      })
  })

// The whole sentence, and from its start: a proxy has pools of its own that are full.
const poolFull = /^(?:live )?session pool (?:is )?full\b/i
const tooManyRuns = /^too many (?:concurrent )?runs\b/i
const shuttingDown = /^(?:the )?(?:server is )?shutting down\b/i

const unavailable = (answer: Answer): PoolFull | TooManyRuns | ShuttingDown | Unexpected => {
  const detail = detailOf(answer) ?? ""
  if (poolFull.test(detail)) return new PoolFull()
  if (tooManyRuns.test(detail)) return new TooManyRuns()
  if (shuttingDown.test(detail)) return new ShuttingDown()
  return unexpected(answer)
}

const isOwn = (reason: { readonly _tag: string }): boolean => reason._tag !== "Unexpected"

const makers: { readonly [S in Status]: (answer: Answer) => ApiError<S> } = {
  400: (answer) => {
    // A request that the server gave up waiting for may have been read to its end.
    const outcome: Outcome = answer.status === 408 ? "unknown" : "refused"
    return new ApiError({ ...answer.call, status: 400, outcome, reason: unexpected(answer) })
  },
  404: (answer) => {
    // What is gone may be gone by an earlier try.
    const outcome: Outcome = answer.isOpen ? "unknown" : "refused"
    return new ApiError({ ...answer.call, status: 404, outcome, reason: notFound(answer) })
  },
  409: (answer) => {
    const reason = detailOf(answer) === undefined ? unexpected(answer) : new TokenExists()
    return new ApiError({ ...answer.call, status: 409, outcome: "refused", reason })
  },
  413: (answer) => new ApiError({ ...answer.call, status: 413, outcome: "refused", reason: new TooLarge() }),
  422: (answer) => {
    const reason = new Invalid({ issues: issuesOf(answer) })
    return new ApiError({ ...answer.call, status: 422, outcome: "refused", reason })
  },
  429: (answer) => new ApiError({ ...answer.call, status: 429, outcome: "refused", reason: new RateLimited() }),
  500: (answer) => {
    // The contract's own 502 says that the agent ran, even where the operation does not declare it.
    const outcome: Outcome = answer.status === 502 && isOwn(runFailed(answer)) ? "acted" : "unknown"
    return new ApiError({ ...answer.call, status: 500, outcome, reason: unexpected(answer) })
  },
  502: (answer) => {
    const reason = runFailed(answer)
    return new ApiError({ ...answer.call, status: 502, outcome: outcomeOfRun(reason), reason })
  },
  503: (answer) => {
    const reason = unavailable(answer)
    return new ApiError({ ...answer.call, status: 503, outcome: isOwn(reason) ? "refused" : "unknown", reason })
  }
}

/** Every call declares these: any server, or a proxy before it, can answer with them. */
export type Everywhere = 400 | 429 | 500 | 503

const isOneOf =
  <S extends Status>(declared: ReadonlyArray<S>) =>
  (status: number): status is S =>
    declared.some((one) => one === status)

/** A status that the operation did not declare stands for its class (RFC 9110, section 15). */
const classOf = (status: number): Everywhere => (status === 429 || status === 503 ? status : status < 500 ? 400 : 500)

const make = <S extends Status>(status: S, answer: Answer): ApiErrors<S> => {
  const error: ApiError<S> = makers[status](answer)
  // Boundary: of the type checker. `ApiErrors<S>` is `ApiError<S>` taken member by member, which it does not see for an
  // open `S`.
  return error as ApiErrors<S>
}

/** The error of an answer with a status of 400 or more. */
export const fromAnswer = Effect.fnUntraced(function* <S extends Status>(
  response: HttpClientResponse.HttpClientResponse,
  body: Body,
  options: {
    readonly call: CallInfo
    readonly statuses: ReadonlyArray<S>
    readonly secrets: ReadonlyArray<string>
    readonly isOpen: boolean
  }
) {
  const { call, isOpen, secrets, statuses } = options
  const { status } = response
  const json = Result.getOrUndefined(parseJson(body))
  const requestId = requestIdOf(response, secrets)
  const message = Message.fromAnswer({ status, json, text: body.text, secrets })
  if (status === 401 || status === 403) return new AuthError({ ...call, status, requestId, message })
  const answer: Answer = {
    call: { ...call, requestId, message, retryAfter: yield* retryAfterOf(response) },
    status,
    json,
    // A 422 repeats what it rejects, which nobody is to find here.
    body: Redacted.make(status === 422 ? message : body.text.slice(0, 2000)),
    secrets,
    isOpen
  }
  return isOneOf(statuses)(status) ? make(status, answer) : make(classOf(status), answer)
})

/** The server's id of the call, where it is one that may be printed. */
export const requestIdOf = (
  response: HttpClientResponse.HttpClientResponse,
  secrets: ReadonlyArray<string>
): string | undefined => {
  const id = response.headers["x-request-id"]
  return id !== undefined && /^[A-Za-z0-9._-]{1,128}$/.test(id) && Secrets.scrub(id, secrets) === id ? id : undefined
}

/** `Retry-After` as a span of time: seconds, or a date (RFC 9110, section 10.2.3). Anything else says nothing. */
const retryAfterOf = Effect.fnUntraced(function* (response: HttpClientResponse.HttpClientResponse) {
  const header = response.headers["retry-after"]?.trim() ?? ""
  if (/^\d+$/.test(header)) return Duration.seconds(Number(header))
  // `Date` would also read "-5" and "1.5", as months.
  const at = /^[A-Z][a-z]+, .* GMT$/.test(header) ? Option.getOrUndefined(DateTime.make(header)) : undefined
  if (at === undefined) return undefined
  const now = yield* Clock.currentTimeMillis
  return Duration.millis(Math.max(0, DateTime.toEpochMillis(at) - now))
})
