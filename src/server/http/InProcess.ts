/**
 * An `HttpClient` whose requests are answered in this process, by an HTTP effect and without a socket.
 */
import { Effect, type Scope } from "effect"
import {
  HttpClient,
  HttpClientError,
  type HttpClientRequest,
  HttpEffect,
  HttpMiddleware,
  HttpServerRequest,
  HttpServerResponse
} from "effect/http"

const serverGone = (request: HttpClientRequest.HttpClientRequest) =>
  new HttpClientError.HttpClientError({
    reason: new HttpClientError.TransportError({ request, description: "the server is gone" })
  })

/**
 * Interrupting a request interrupts its handler. A body passes through as the stream that it is; what its handler has open
 * is closed at the stream's end.
 */
export const make = <E>(
  httpEffect: Effect.Effect<HttpServerResponse.HttpServerResponse, E, HttpServerRequest.HttpServerRequest | Scope.Scope>
): HttpClient.HttpClient => {
  const answers = new WeakMap<HttpServerRequest.HttpServerRequest, HttpServerResponse.HttpServerResponse>()
  const handled = HttpEffect.toHandled(httpEffect, (request, response) =>
    Effect.sync(() => answers.set(request, HttpEffect.scopeTransferToStream(response)))
  )
  return HttpClient.make(
    Effect.fnUntraced(function* (request) {
      const received = HttpServerRequest.fromClientRequest(request)
      // How the handler ended is in its answer, a failure too.
      yield* handled.pipe(
        Effect.provideService(HttpServerRequest.HttpServerRequest, received),
        Effect.provideService(HttpMiddleware.TracerDisabledWhen, () => true),
        Effect.exit
      )
      const answer = answers.get(received)
      if (answer === undefined) return yield* serverGone(request)
      return HttpServerResponse.toClientResponse(answer, { request })
    })
  )
}

/** The same client, which finds nobody to answer it once the scope has closed. */
export const untilClosed = Effect.fnUntraced(function* (
  client: HttpClient.HttpClient
): Effect.fn.Return<HttpClient.HttpClient, never, Scope.Scope> {
  let isClosed = false
  yield* Effect.addFinalizer(() =>
    Effect.sync(() => {
      isClosed = true
    })
  )
  return HttpClient.mapRequestEffect(client, (request) =>
    isClosed ? Effect.fail(serverGone(request)) : Effect.succeed(request)
  )
})
