/**
 * The fake as an `HttpClient`: it records each request, and breaks what the script or the test wants broken.
 */
import { Effect, Option, Stream } from "effect"
import { HttpClient, HttpClientError, type HttpClientRequest, HttpClientResponse } from "effect/http"
import * as EventFrames from "../server/calls/EventFrames.ts"
import * as Counter from "./Counter.ts"
import { Exchange, type Outcome } from "./Exchange.ts"
import * as Json from "./Json.ts"
import * as ResponseBody from "./ResponseBody.ts"
import type { ConnectionReset, Refused, Silence } from "./Reply.ts"

/** A request to the fake, as data. Its token is left out. */
export interface Request {
  readonly method: string
  /** With the query. */
  readonly path: string
  readonly headers: Readonly<Record<string, string>>
  /** The body, as JSON where it is JSON. Undefined of one that is streamed, and where there is none. */
  readonly body: unknown
  /** The status of its response; undefined before it, and where there was none. */
  status?: number | undefined
}

/** How any request can fail. */
export type RequestFailure = Refused | ConnectionReset | Silence

/** A failure of the next request that it matches. */
export interface Planned {
  readonly failure: RequestFailure
  readonly matches: (request: Request) => boolean
}

const transportError = (request: HttpClientRequest.HttpClientRequest) =>
  new HttpClientError.HttpClientError({
    reason: new HttpClientError.TransportError({ request, cause: ResponseBody.broken(request) })
  })

const bodyOf = ({ body }: HttpClientRequest.HttpClientRequest): unknown => {
  if (body._tag !== "Uint8Array") return undefined
  const text = new TextDecoder().decode(body.body)
  return Option.getOrElse(Json.parse(text), () => text)
}

const pageOf = (request: HttpClientRequest.HttpClientRequest, { body, headers, status }: Refused) =>
  HttpClientResponse.fromWeb(request, new Response(body ?? null, { status, headers }))

const isEventStream = ({ headers }: HttpClientResponse.HttpClientResponse): boolean =>
  (headers["content-type"] ?? "").startsWith("text/event-stream")

/**
 * A response whose body is what becomes of it: the outcome may come after its head, of a turn that waited for long. A page
 * of the server's is its error frame then, and one of a proxy breaks the connection.
 */
const follow = (
  request: HttpClientRequest.HttpClientRequest,
  response: HttpClientResponse.HttpClientResponse,
  exchange: Exchange
) => {
  const broken = Stream.fail(
    new HttpClientError.HttpClientError({
      reason: new HttpClientError.DecodeError({ request, response, cause: ResponseBody.broken(request) })
    })
  )
  let read = 0
  const became = (chunk: Uint8Array) => {
    const { outcome } = exchange
    const left = outcome?._tag === "CutAt" ? outcome.bytes - read : Infinity
    read += chunk.byteLength
    switch (outcome?._tag) {
      case "Defect":
        return Stream.die(outcome.defect)
      case "Silence":
        return Stream.never
      case "Reset":
        return broken
      case "Page": {
        const { body = "{}", headers, status } = outcome.page
        return headers["content-type"] === "application/json"
          ? Stream.encodeText(Stream.fromEffect(EventFrames.fromAnswer({ status, body })))
          : broken
      }
      default:
        return left > chunk.byteLength
          ? Stream.make(chunk)
          : Stream.concat(Stream.make(chunk.subarray(0, Math.max(left, 0))), broken)
    }
  }
  const body = response.stream.pipe(
    Stream.flatMap(became),
    Stream.takeUntil(() => exchange.outcome?._tag === "Page")
  )
  return ResponseBody.make(request, response, body)
}

export interface Options {
  readonly server: HttpClient.HttpClient
  readonly requests: Array<Request>
  readonly planned: Array<Planned>
  /** Counts the requests. */
  readonly asked: Counter.Counter
}

export const make = ({ asked, planned, requests, server }: Options): HttpClient.HttpClient =>
  HttpClient.make(
    Effect.fnUntraced(function* (request, url) {
      const { authorization: _token, ...headers } = request.headers
      const recorded: Request = {
        method: request.method,
        path: url.pathname + url.search,
        headers,
        body: bodyOf(request)
      }
      requests.push(recorded)
      yield* Counter.add(asked)

      const respond = Effect.fnUntraced(function* (outcome: Outcome) {
        switch (outcome._tag) {
          case "Defect":
            return yield* Effect.die(outcome.defect)
          case "Page":
            return pageOf(request, outcome.page)
          case "Silence":
            return yield* Effect.never
          default:
            return yield* transportError(request)
        }
      })

      const index = planned.findIndex(({ matches }) => matches(recorded))
      const [plan] = index === -1 ? [] : planned.splice(index, 1)
      if (plan !== undefined) {
        const { failure } = plan
        if (failure._tag !== "Silence") yield* Effect.sleep(failure.delay)
        const response = yield* respond(
          failure._tag === "Refused"
            ? { _tag: "Page", page: failure }
            : { _tag: failure._tag === "Silence" ? "Silence" : "Reset" }
        )
        recorded.status = response.status
        return response
      }

      const exchange: Exchange = {}
      const response = yield* Effect.provideService(server.execute(request), Exchange, exchange)
      const { outcome } = exchange
      if (outcome === undefined || outcome._tag === "CutAt") {
        recorded.status = response.status
        return isEventStream(response) || outcome !== undefined ? follow(request, response, exchange) : response
      }
      const instead = yield* respond(outcome)
      recorded.status = instead.status
      return instead
    })
  )
