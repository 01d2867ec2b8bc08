/**
 * The span of one HTTP request, and the `traceparent` header that continues the trace on the server.
 */
import { Cause, Effect, type Tracer } from "effect"
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

/** Runs an attempt under a span named by method and path, following OpenTelemetry's conventions for HTTP. */
export const attempt = <A, E, R>(
  { method, path }: Operation<Status, unknown>,
  options: { readonly retries: number; readonly server: ReturnType<typeof server> },
  run: (attempt: Attempt) => Effect.Effect<A, E, R>
): Effect.Effect<A, E, R> =>
  Effect.flatMap(Telemetry.Enabled, (enabled) => {
    if (!enabled) return run(untraced)
    const attributes = {
      "http.request.method": method,
      "url.template": path,
      ...options.server,
      ...(options.retries === 0 ? {} : { "http.request.resend_count": options.retries })
    }
    return Effect.useSpan(`${method} ${path}`, { kind: "client", attributes }, (span) =>
      run({
        traceparent: traceparentOf(span),
        onStatus: (status) => span.attribute("http.response.status_code", status)
      }).pipe(Effect.onError((cause) => Effect.sync(() => span.attribute("error.type", errorType(cause)))))
    )
  })
