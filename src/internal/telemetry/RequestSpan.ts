/**
 * The span of one request, and the header that tells the server of it.
 */
import { Effect, Tracer } from "effect"
import type { Status } from "../../ForgeError.ts"
import * as Telemetry from "../../Telemetry.ts"
import * as ErrorType from "./ErrorType.ts"
import type { Operation } from "../calls/Operation.ts"

/** What an attempt is told: the header to send, and where to note the status that it got. */
export interface Attempt {
  readonly traceparent: string | undefined
  readonly answered: (status: number) => void
}

const untraced: Attempt = { traceparent: undefined, answered: () => {} }

/** The header of W3C Trace Context; a tracer that is off has ids that are none. */
const traceparentOf = ({ sampled, spanId, traceId }: Tracer.Span): string | undefined =>
  /^[0-9a-f]{32}$/.test(traceId) && /^[0-9a-f]{16}$/.test(spanId)
    ? `00-${traceId}-${spanId}-${sampled ? "01" : "00"}`
    : undefined

/** What spans say of a server. */
export const server = (url: URL) => ({
  "server.address": url.hostname,
  "server.port": Number(url.port) || (url.protocol === "https:" ? 443 : 80)
})

/** Runs an attempt under a span named by method and path, as OpenTelemetry's conventions for HTTP have it. */
export const attempt = <A, E, R>(
  { method, path }: Operation<Status, unknown>,
  { repeats, to }: { readonly repeats: number; readonly to: ReturnType<typeof server> },
  run: (attempt: Attempt) => Effect.Effect<A, E, R>
): Effect.Effect<A, E, R> =>
  Effect.flatMap(Telemetry.Enabled, (enabled) => {
    if (!enabled) return run(untraced)
    const attributes = {
      "http.request.method": method,
      "url.template": path,
      ...to,
      ...(repeats === 0 ? {} : { "http.request.resend_count": repeats })
    }
    return Effect.useSpan(`${method} ${path}`, { kind: "client", attributes }, (span) =>
      run({
        traceparent: traceparentOf(span),
        answered: (status) => span.attribute("http.response.status_code", status)
      }).pipe(Effect.onError((cause) => Effect.sync(() => span.attribute("error.type", ErrorType.ofCause(cause)))))
    )
  })
