/**
 * From a call without a readable answer to the error that says so.
 */
import { Duration, Predicate } from "effect"
import type { HttpClientError } from "effect/http"
import { Connect, Malformed, type Outcome, Reset, Timeout, TransportError } from "../ForgeError.ts"
import type { CallInfo } from "./Failure.ts"

/**
 * Codes that only a connection that never came about has. Others (`ECONNRESET`, `ETIMEDOUT`, `EHOSTUNREACH`, most of
 * TLS) also come from reading and writing, and then say nothing about what the server saw.
 */
const connectCodes: ReadonlySet<string> = new Set([
  "ECONNREFUSED",
  "ENOTFOUND",
  "EAI_AGAIN",
  "EAI_FAIL",
  "EAI_NODATA",
  "EAI_NONAME",
  "UND_ERR_CONNECT_TIMEOUT",
  "ERR_TLS_CERT_ALTNAME_INVALID",
  "CERT_HAS_EXPIRED",
  "CERT_NOT_YET_VALID",
  "DEPTH_ZERO_SELF_SIGNED_CERT",
  "SELF_SIGNED_CERT_IN_CHAIN",
  "UNABLE_TO_VERIFY_LEAF_SIGNATURE",
  "UNABLE_TO_GET_ISSUER_CERT",
  "UNABLE_TO_GET_ISSUER_CERT_LOCALLY",
  "ERR_SSL_WRONG_VERSION_NUMBER",
  "ERR_SSL_UNSUPPORTED_PROTOCOL",
  "ERR_SSL_TLSV1_ALERT_PROTOCOL_VERSION"
])

const isConnecting = (cause: object, code: string): boolean =>
  connectCodes.has(code) ||
  ("syscall" in cause && cause.syscall === "connect") ||
  (code === "ECONNRESET" && "message" in cause && /before secure TLS/.test(String(cause.message)))

/** The errors that a failure was caused by, outermost first; a runtime may wrap them, or gather one per address. */
function* causes(error: unknown, depth = 0): Generator<object> {
  if (depth > 8 || !Predicate.isObject(error)) return
  yield error
  if (Array.isArray(error["errors"])) {
    for (const one of error["errors"]) yield* causes(one, depth + 1)
  }
  yield* causes(error["cause"], depth + 1)
}

interface Found {
  readonly code: string | undefined
  readonly connecting: boolean
}

const find = (error: unknown): Found => {
  let code: string | undefined
  for (const cause of causes(error)) {
    if (!("code" in cause) || typeof cause.code !== "string") continue
    code ??= cause.code
    if (isConnecting(cause, cause.code)) return { code: cause.code, connecting: true }
  }
  return { code, connecting: false }
}

/** The error of a request that got no whole answer. */
export const fromHttpClientError = (
  error: HttpClientError.HttpClientError,
  call: CallInfo,
  origin: string
): TransportError => {
  const { code, connecting } = find(error.reason.cause)
  const base = { ...call, requestId: undefined }
  const why = code === undefined ? "" : ` (${code})`
  return connecting
    ? new TransportError({
        ...base,
        outcome: "not-sent",
        reason: new Connect({ code }),
        message: `no connection to ${origin}${why}: is a clawdforge server running there?`
      })
    : new TransportError({
        ...base,
        outcome: "unknown",
        reason: new Reset({ code }),
        message: `the connection to ${origin} broke before the answer was whole${why}`
      })
}

/** The error of a call that outlived its deadline. */
export const timeout = (call: CallInfo, after: Duration.Duration): TransportError =>
  new TransportError({
    ...call,
    requestId: undefined,
    outcome: "unknown",
    reason: new Timeout({ after }),
    message: `no whole answer within ${Duration.format(after)}`
  })

/** The error of an answer that is not one of the contract. */
export const malformed = (
  call: CallInfo,
  answer: { readonly status: number; readonly requestId: string | undefined },
  description: string
): TransportError => {
  // A redirect says nothing about what was done before it; a success says that something was.
  const outcome: Outcome = answer.status >= 300 || answer.status === 0 ? "unknown" : "acted"
  return new TransportError({
    ...call,
    requestId: answer.requestId,
    outcome,
    reason: new Malformed({ status: answer.status, description }),
    message: `the answer (${answer.status}) is not of the clawdforge contract: ${description}`
  })
}
