/**
 * The span of one HTTP request, and the `traceparent` header that continues the trace on the server.
 */
import { Cause, Effect, Exit, type Scope, type Tracer } from "effect"
import { SessionClosed, type Status } from "../../ForgeError.ts"
import * as Telemetry from "../../Telemetry.ts"
import * as ErrorType from "./ErrorType.ts"
import type { Operation } from "../calls/Operation.ts"

export interface Attempt {
  /** The header to send; undefined where tracing is off. */
  readonly traceparent: string | undefined
  /** Records the status of the response. */
  readonly onStatus: (status: number) => void
}

const untraced: Attempt = { traceparent: undefined, onStatus: () => {} }

/** The header of W3C Trace Context; a disabled tracer has ids of another form. */
const traceparentOf = ({ sampled, spanId, traceId }: Tracer.Span): string | undefined =>
  /^[0-9a-f]{32}$/.test(traceId) && /^[0-9a-f]{16}$/.test(spanId)
    ? `00-${traceId}-${spanId}-${sampled ? "01" : "00"}`
    : undefined

/** The attributes of a server. */
export const server = (url: URL) => ({
  "server.address": url.hostname,
  "server.port": Number(url.port) || (url.protocol === "https:" ? 443 : 80)
})

/** The error of a 410 has no status of its own. */
const errorType = (cause: Cause.Cause<unknown>): string =>
  Cause.squash(cause) instanceof SessionClosed ? "410" : ErrorType.ofCause(cause)

/**
 * Begins an attempt under a span named by method and path, following OpenTelemetry's conventions for HTTP. It ends with the
 * scope, which the body of the response ends with too.
 */
export const begin = Effect.fnUntraced(function* (
  { method, path }: Operation<Status, unknown>,
  options: { readonly retries: number; readonly server: ReturnType<typeof server> }
): Effect.fn.Return<Attempt, never, Scope.Scope> {
  if (!(yield* Telemetry.Enabled)) return untraced
  const attributes = {
    "http.request.method": method,
    "url.template": path,
    ...options.server,
    ...(options.retries === 0 ? {} : { "http.request.resend_count": options.retries })
  }
  const span = yield* Effect.makeSpanScoped(`${method} ${path}`, { kind: "client", attributes })
  yield* Effect.addFinalizer((exit) =>
    Effect.sync(() => {
      if (Exit.isFailure(exit)) span.attribute("error.type", errorType(exit.cause))
    })
  )
  return {
    traceparent: traceparentOf(span),
    onStatus: (status) => span.attribute("http.response.status_code", status)
  }
})
