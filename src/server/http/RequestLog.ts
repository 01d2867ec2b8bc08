/**
 * Counts every request and, as an option, logs it: method, route, status, duration; a response of 500 or more as a warning.
 *
 * Of the path only the route is logged, since clients put secrets into paths by mistake, and the id of a session if it has
 * the form of this server's ids, which no token has.
 */
import { Duration, Effect } from "effect"
import { HttpEffect, HttpRouter, HttpServerRequest, type HttpServerResponse } from "effect/http"
import { sessionIdIn } from "../../wire/Paths.ts"
import * as Stopwatch from "../Stopwatch.ts"
import * as FailureLog from "../calls/FailureLog.ts"
import * as Metrics from "../Metrics.ts"
import * as Paths from "./Paths.ts"
import * as RequestId from "./RequestId.ts"

export interface Options {
  /** Whether each request is logged, and why a call failed; false if not given. */
  readonly logRequests?: boolean | undefined
}

/** Whether a text has the form of the ids that this server mints. */
const isOurId = (id: string) => /^[A-Za-z0-9_-]{32}$/.test(id)

const log = (
  request: HttpServerRequest.HttpServerRequest,
  response: HttpServerResponse.HttpServerResponse,
  fields: { readonly route: string; readonly duration: Duration.Duration }
) => {
  const session = sessionIdIn(request.url)
  const line = response.status >= 500 ? Effect.logWarning("request") : Effect.logInfo("request")
  return Effect.annotateLogs(line, {
    request_id: response.headers[RequestId.header],
    method: request.method,
    route: fields.route,
    ...(session !== undefined && isOurId(session) ? { session } : {}),
    status: response.status,
    ms: Duration.toMillis(fields.duration)
  })
}

export const layer = ({ logRequests = false }: Options) =>
  HttpRouter.middleware(
    (httpEffect) =>
      Effect.flatMap(Stopwatch.start, (elapsed) =>
        HttpEffect.withPreResponseHandler(
          Effect.provideService(httpEffect, FailureLog.Enabled, logRequests),
          Effect.fnUntraced(function* (request, response) {
            const duration = yield* elapsed
            const { method } = request
            const route = Paths.find(request.url)?.path ?? "other"
            yield* Metrics.countRequest({ method, route, status: response.status, duration })
            if (logRequests) yield* log(request, response, { route, duration })
            return response
          })
        )
      ),
    { global: true }
  )
