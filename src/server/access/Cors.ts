/**
 * Cross-origin access: no web page may use the server, except from the origins that the operator allows.
 */
import { Layer } from "effect"
import { HttpMiddleware, HttpRouter } from "effect/http"

export interface Options {
  /** Origins such as `https://app.example`; none if not given. */
  readonly corsOrigins?: ReadonlyArray<string> | undefined
}

const allowedMethods = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"]

/** What clients of the contract send, tracing included. */
const allowedHeaders = [
  "authorization",
  "content-type",
  "idempotency-key",
  "last-event-id",
  "range",
  "if-match",
  "if-none-match",
  "clawdforge-handles",
  "clawdforge-reader",
  "x-request-id",
  "traceparent",
  "tracestate"
]

/** What clients of the contract read, besides the headers that any page may read. */
const exposedHeaders = [
  "x-request-id",
  "retry-after",
  "www-authenticate",
  "allow",
  "etag",
  "accept-ranges",
  "content-range",
  "content-disposition"
]

/** How many seconds a browser may keep the answer to a preflight request: the most that Chromium allows. */
const maxAge = 7_200

export const layer = ({ corsOrigins = [] }: Options) => {
  if (corsOrigins.length === 0) return Layer.empty
  const origins = new Set(corsOrigins)
  return HttpRouter.middleware(
    HttpMiddleware.cors({
      allowedOrigins: (origin) => origins.has(origin),
      allowedMethods,
      allowedHeaders,
      exposedHeaders,
      maxAge
    }),
    { global: true }
  )
}
