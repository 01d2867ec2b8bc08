/**
 * An `HttpClient` whose requests are answered by an HTTP effect in this process, without a socket.
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

const serverClosed = (request: HttpClientRequest.HttpClientRequest) =>
  new HttpClientError.HttpClientError({
    reason: new HttpClientError.TransportError({ request, description: "the server is closed" })
  })

/**
 * Interrupting a request interrupts its handler. A streamed body stays a stream, and the scope of its handler closes when
 * the stream ends.
 */
export const make = <E>(
  httpEffect: Effect.Effect<HttpServerResponse.HttpServerResponse, E, HttpServerRequest.HttpServerRequest | Scope.Scope>
): HttpClient.HttpClient => {
  const responses = new WeakMap<HttpServerRequest.HttpServerRequest, HttpServerResponse.HttpServerResponse>()
  const handled = HttpEffect.toHandled(httpEffect, (request, response) =>
    Effect.sync(() => responses.set(request, HttpEffect.scopeTransferToStream(response)))
  )
  return HttpClient.make(
    Effect.fnUntraced(function* (request) {
      const received = HttpServerRequest.fromClientRequest(request)
      // A failure of the handler is in the response too.
      yield* handled.pipe(
        Effect.provideService(HttpServerRequest.HttpServerRequest, received),
        Effect.provideService(HttpMiddleware.TracerDisabledWhen, () => true),
        Effect.exit
      )
      const response = responses.get(received)
      if (response === undefined) return yield* serverClosed(request)
      return HttpServerResponse.toClientResponse(response, { request })
    })
  )
}

/** The same client, whose requests fail once the scope has closed. */
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
    isClosed ? Effect.fail(serverClosed(request)) : Effect.succeed(request)
  )
})
