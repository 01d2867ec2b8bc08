/**
 * The span of a request, which joins the trace of its `traceparent` (W3C Trace Context) and ends when the response is sent.
 *
 * Of the path it has only the route, since clients put secrets into paths by mistake.
 */
import { Clock, Data, Effect, Exit, Layer, Option, Scope, Tracer } from "effect"
import {
  HttpEffect,
  HttpMiddleware,
  HttpRouter,
  HttpServerRequest,
  type HttpServerResponse,
  HttpTraceContext
} from "effect/http"
import { RequestTrace } from "../../api/Middlewares.ts"
import * as CurrentRequest from "../CurrentRequest.ts"
import * as Paths from "./Paths.ts"

/** The failure of a span whose request was answered with a 5xx. */
class ServerError extends Data.TaggedError("ServerError")<{ readonly message: string }> {}

const isServerError = (status: number) => status >= 500

const exitOf = (exit: Exit.Exit<unknown, unknown>, status: number | undefined) =>
  status !== undefined && isServerError(status)
    ? Exit.fail(new ServerError({ message: `The server answered with ${status}.` }))
    : exit

/** Opens the span of the current request, if a tracer records it. */
const open = Effect.gen(function* () {
  const current = yield* CurrentRequest.CurrentRequest
  if (current === undefined || (yield* Effect.tracer) === Tracer.nativeTracer) return undefined
  const { headers, method, url } = yield* HttpServerRequest.HttpServerRequest
  const route = Paths.find(url)?.path
  const span = yield* Effect.makeSpan(route === undefined ? method : `${method} ${route}`, {
    kind: "server",
    parent: Option.getOrUndefined(HttpTraceContext.w3c(headers)),
    attributes: {
      "http.request.method": method,
      ...(route === undefined ? {} : { "http.route": route }),
      [CurrentRequest.idAttribute]: current.id
    }
  })
  let status: number | undefined
  yield* Scope.addFinalizerExit(yield* Effect.scope, (exit) =>
    Effect.map(Clock.currentTimeNanos, (now) => span.end(now, exitOf(exit, status)))
  )
  const answered = (response: HttpServerResponse.HttpServerResponse) => {
    status = response.status
    span.attribute("http.response.status_code", status)
    if (isServerError(status)) span.attribute("error.type", String(status))
    return Effect.succeed(response)
  }
  return { current: { id: current.id, span }, answered }
})

export const layer = HttpRouter.middleware(
  (httpEffect) =>
    Effect.flatMap(open, (opened) =>
      opened === undefined
        ? httpEffect
        : httpEffect.pipe(
            HttpEffect.withPreResponseHandler((_request, response) => opened.answered(response)),
            Effect.provideService(CurrentRequest.CurrentRequest, opened.current)
          )
    ),
  { global: true }
)

/**
 * Runs endpoints under the span of their request. It is set here, and not where it is made: an endpoint runs with the
 * services with which its server was built, and these may include a span of the program around the server.
 */
export const layerTrace = Layer.succeed(RequestTrace, CurrentRequest.trace)

/** Turns off Effect's span of a request, which would have the whole URL. */
export const layerReplace = Layer.succeed(HttpMiddleware.TracerDisabledWhen, () => true)
