/**
 * Maps a call without a readable response to a `TransportError`.
 */
import { Duration, Predicate } from "effect"
import type { HttpClientError } from "effect/http"
import { Connect, Malformed, type Outcome, Reset, Timeout, TransportError } from "../../ForgeError.ts"
import type { CallInfo } from "../calls/Operation.ts"
import * as Page from "../Page.ts"

/**
 * Codes that only a failed connect has. Others (`ECONNRESET`, `ETIMEDOUT`, `EHOSTUNREACH`, those of TLS records and alerts)
 * also come from reading and writing, and then say nothing about what the server received.
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

/** Whether nothing was sent. Where a name has several addresses, all of them must have failed to connect. */
const isConnecting = (error: unknown): boolean => {
  if (!Predicate.isObject(error)) return false
  const { code, errors, message, syscall } = error
  if (syscall === "connect" || (typeof code === "string" && connectCodes.has(code))) return true
  if (Array.isArray(errors) && errors.length > 0) return errors.every(isConnecting)
  return code === "ECONNRESET" && /before secure TLS/.test(String(message))
}

const maxWrappers = 8

/** The outermost error with a code: a runtime may wrap it. */
const codedCause = (error: unknown, depth = 0): Record<PropertyKey, unknown> | undefined => {
  if (depth > maxWrappers || !Predicate.isObject(error)) return undefined
  return typeof error["code"] === "string" || Array.isArray(error["errors"])
    ? error
    : codedCause(error["cause"], depth + 1)
}

/** What browsers say where `fetch` gave no response: Chromium, Firefox, Safari. They do not say why. */
const isOpaque = (cause: unknown): boolean =>
  cause instanceof TypeError && /^(Failed to fetch|NetworkError|Load failed)/.test(cause.message)

/** Why there may be no response for a page of another origin: a browser shows none without the permission of the server. */
const refusedByBrowser = (origin: string, page: string): string =>
  `the browser shows no answer of ${origin}: is a clawdforge server running there, and does it allow this page ` +
  `(CORS: --cors-origin ${page}, or propagateTrace: false if it refuses traceparent)?`

/** What went wrong on the way through a proxy, where a transport says which one that was, and how that answered. */
const throughProxy = (cause: Record<PropertyKey, unknown> | undefined, what: string): string | undefined => {
  const { code, proxy, proxyStatus } = cause ?? {}
  if (typeof proxy !== "string") return undefined
  if (proxyStatus === 407)
    return `${what}: the proxy ${proxy} answered 407, it wants a user name and a password in its URL`
  if (typeof proxyStatus === "number") return `${what}: the proxy ${proxy} answered ${proxyStatus}`
  return `${what} through the proxy ${proxy} (${String(code)})`
}

/** Why a connection broke. undici closes one on an unrequested `100 Continue` (RFC 9110, section 15.2). */
const whyBroken = (cause: Record<PropertyKey, unknown> | undefined, why: string): string =>
  cause?.["code"] === "UND_ERR_SOCKET" && cause["message"] === "bad response"
    ? ": it began with 100 Continue, which undici does not accept where it was not asked for"
    : why

/** The error of a request without a complete response. */
export const fromHttpClientError = (
  error: HttpClientError.HttpClientError,
  { call, origin, priorRefused }: { readonly call: CallInfo; readonly origin: string; readonly priorRefused: boolean }
): TransportError => {
  const cause = codedCause(error.reason.cause)
  const code = typeof cause?.["code"] === "string" ? cause["code"] : undefined
  // Once a response has begun, the request was sent, whatever broke.
  const connecting = error.reason._tag === "TransportError" && isConnecting(cause)
  const base = { ...call, requestId: undefined }
  const why = code === undefined ? "" : ` (${code})`
  const page = Page.origin()
  const isRefused =
    error.reason._tag === "TransportError" && page !== undefined && page !== origin && isOpaque(error.reason.cause)
  return connecting
    ? new TransportError({
        ...base,
        // The outcome is that of all attempts together.
        outcome: priorRefused ? "refused" : "not-sent",
        reason: new Connect({ code }),
        message:
          throughProxy(cause, `no connection to ${origin}`) ??
          `no connection to ${origin}${why}: is a clawdforge server running there?`
      })
    : new TransportError({
        ...base,
        outcome: "unknown",
        reason: new Reset({ code }),
        message: isRefused
          ? refusedByBrowser(origin, page)
          : `the connection to ${origin} broke before the answer was whole${whyBroken(cause, why)}`
      })
}

/** The error of a call that exceeded its deadline. */
export const timeout = (call: CallInfo, origin: string, after: Duration.Duration): TransportError =>
  new TransportError({
    ...call,
    requestId: undefined,
    outcome: "unknown",
    reason: new Timeout({ after }),
    message: `${origin} gave no whole answer within ${Duration.format(after)}`
  })

/** The error of a response that is not of the contract. */
export const malformed = (
  call: CallInfo,
  response: { readonly status: number; readonly requestId: string | undefined; readonly origin: string },
  description: string
): TransportError => {
  // A success means that the server acted; a redirect says nothing about that.
  const outcome: Outcome = response.status >= 300 || response.status === 0 ? "unknown" : "acted"
  return new TransportError({
    ...call,
    requestId: response.requestId,
    outcome,
    reason: new Malformed({ status: response.status, description }),
    message: `the answer of ${response.origin} (${response.status}) is not of the clawdforge contract: ${description}`
  })
}
