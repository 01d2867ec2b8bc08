/**
 * The span of a request, which joins the trace of the caller's `traceparent` (W3C Trace Context).
 *
 * Of a path it has the route alone, since people put all kinds of things into paths. It ends when the answer is sent.
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
import { CurrentRequest, idAttribute } from "../CurrentRequest.ts"
import * as Paths from "./Paths.ts"

/** How the span of a request ends that the server failed to answer. */
class ServerError extends Data.TaggedError("ServerError")<{ readonly message: string }> {}

const isServerError = (status: number) => status >= 500

const exitOf = (exit: Exit.Exit<unknown, unknown>, status: number | undefined) =>
  status !== undefined && isServerError(status)
    ? Exit.fail(new ServerError({ message: `The server answered with ${status}.` }))
    : exit

/** Opens the span of the current request, where something records it. */
const open = Effect.gen(function* () {
  const current = yield* CurrentRequest
  if (current === undefined || (yield* Effect.tracer) === Tracer.nativeTracer) return undefined
  const { headers, method, url } = yield* HttpServerRequest.HttpServerRequest
  const route = Paths.find(url)?.path
  const span = yield* Effect.makeSpan(route === undefined ? method : `${method} ${route}`, {
    kind: "server",
    parent: Option.getOrUndefined(HttpTraceContext.w3c(headers)),
    attributes: {
      "http.request.method": method,
      ...(route === undefined ? {} : { "http.route": route }),
      [idAttribute]: current.id
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
            Effect.provideService(CurrentRequest, opened.current)
          )
    ),
  { global: true }
)

/** Effect's own span of a request, which has the whole URL, is not made. */
export const layerOwn = Layer.succeed(HttpMiddleware.TracerDisabledWhen, () => true)
