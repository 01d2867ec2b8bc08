/**
 * The `HttpClient` of one server: base URL and bearer on every request, no redirects, no spans but ours.
 */
import { Context, Effect, flow, identity, Option, Redacted, type Scope, Stream } from "effect"
import {
  FetchHttpClient,
  HttpBody,
  HttpClient,
  type HttpClientError,
  HttpClientRequest,
  type HttpClientResponse
} from "effect/http"
import * as Page from "../Page.ts"

export interface Options {
  readonly url: URL
  readonly token: Redacted.Redacted
  readonly transformClient?: ((client: HttpClient.HttpClient) => HttpClient.HttpClient) | undefined
}

/** Sends a request whose URL is a path of the server. The response ends with the scope, its body too. */
export type HttpTransport = (
  request: HttpClientRequest.HttpClientRequest,
  options: { readonly anonymous: boolean }
) => Effect.Effect<HttpClientResponse.HttpClientResponse, HttpClientError.HttpClientError, Scope.Scope>

const always = (): boolean => true

const acceptDefault = (request: HttpClientRequest.HttpClientRequest): HttpClientRequest.HttpClientRequest =>
  request.headers["accept"] === undefined ? HttpClientRequest.acceptJson(request) : request

/** A redirect is never followed: it would carry the token elsewhere. */
const requestContext = Effect.map(Effect.serviceOption(FetchHttpClient.RequestInit), (given) =>
  Context.make(FetchHttpClient.RequestInit, {
    ...Option.getOrUndefined(given),
    redirect: "manual" as const
  }).pipe(Context.add(HttpClient.TracerDisabledWhen, always))
)

/** Reads a streamed body before it is sent: browsers stream one over HTTP/2 only, or not at all. */
const collectBody = (
  request: HttpClientRequest.HttpClientRequest
): Effect.Effect<HttpClientRequest.HttpClientRequest> => {
  const { body } = request
  if (body._tag !== "Stream") return Effect.succeed(request)
  // The upload fails with its source: see `Multipart.observe`.
  const content = Stream.catchCause(body.stream, () => Stream.never)
  return Effect.map(Stream.mkUint8Array(content), (bytes) =>
    HttpClientRequest.setBody(request, HttpBody.uint8Array(bytes, body.contentType))
  )
}

export const make = Effect.fnUntraced(function* ({
  token,
  transformClient = identity,
  url
}: Options): Effect.fn.Return<HttpTransport, never, HttpClient.HttpClient> {
  const context = yield* requestContext
  const base = url.href.replace(/\/+$/, "")
  // A request ends with its scope: a response that arrives just as its call is interrupted holds no connection.
  const scoped = HttpClient.withScope(transformClient(yield* HttpClient.HttpClient))
  const client = Page.origin() === undefined ? scoped : HttpClient.mapRequestInputEffect(scoped, collectBody)
  // As inputs: the transformations of the client that was given, and of `transformClient`, see the whole request.
  const anonymous = HttpClient.mapRequestInput(client, flow(HttpClientRequest.prependUrl(base), acceptDefault))
  const authorized = HttpClient.mapRequestInput(anonymous, HttpClientRequest.bearerToken(Redacted.value(token)))
  return (request, options) =>
    Effect.provideContext((options.anonymous ? anonymous : authorized).execute(request), context)
})
