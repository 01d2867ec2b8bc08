/**
 * From a call without a readable answer to the error that says so.
 */
import { Duration, Predicate } from "effect"
import type { HttpClientError } from "effect/http"
import { Connect, Malformed, type Outcome, Reset, Timeout, TransportError } from "../../ForgeError.ts"
import type { CallInfo } from "../calls/Operation.ts"

/**
 * Codes that only a connection that never came about has. Others (`ECONNRESET`, `ETIMEDOUT`, `EHOSTUNREACH`, those of
 * TLS records and alerts) also come from reading and writing, and then say nothing about what the server saw.
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
  "UNABLE_TO_GET_ISSUER_CERT_LOCALLY"
])

/** Whether nothing was sent: where a name has several addresses, none of them was connected to. */
const isConnecting = (error: unknown): boolean => {
  if (!Predicate.isObject(error)) return false
  const { code, errors, message, syscall } = error
  if (syscall === "connect" || (typeof code === "string" && connectCodes.has(code))) return true
  if (Array.isArray(errors) && errors.length > 0) return errors.every(isConnecting)
  return code === "ECONNRESET" && /before secure TLS/.test(String(message))
}

const maxWrappers = 8

/** The error that says what happened: the outermost one with a code, for a runtime may wrap it. */
const telling = (error: unknown, depth = 0): Record<PropertyKey, unknown> | undefined => {
  if (depth > maxWrappers || !Predicate.isObject(error)) return undefined
  return typeof error["code"] === "string" || Array.isArray(error["errors"])
    ? error
    : telling(error["cause"], depth + 1)
}

/** The error of a request that got no whole answer. */
export const fromHttpClientError = (
  error: HttpClientError.HttpClientError,
  call: CallInfo,
  origin: string
): TransportError => {
  const cause = telling(error.reason.cause)
  const code = typeof cause?.["code"] === "string" ? cause["code"] : undefined
  // After an answer has begun, the request was sent, whatever broke.
  const connecting = error.reason._tag === "TransportError" && isConnecting(cause)
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
