/**
 * Responses of servers in memory. Their bodies are read without a promise, so that no time passes but that of the test's
 * clock.
 */
import { Effect, Stream } from "effect"
import { HttpClientError, type HttpClientRequest, HttpClientResponse } from "effect/http"

/** A connection that breaks, or one that is refused. */
export type Broken = "reset" | "refused"

const causes = {
  reset: { code: "ECONNRESET", syscall: "read" },
  refused: { code: "ECONNREFUSED", syscall: "connect" }
}

/** The error of a request whose connection broke. */
export const broken = (request: HttpClientRequest.HttpClientRequest, how: Broken) => {
  const cause = Object.assign(new Error(how), causes[how])
  return new HttpClientError.HttpClientError({ reason: new HttpClientError.TransportError({ request, cause }) })
}

export interface Options {
  readonly status?: number | undefined
  readonly headers?: Record<string, string> | undefined
  readonly body: Uint8Array
  /** How a body ends that does not end well: it breaks, or nothing follows and it stays open. */
  readonly ending?: "cut" | "hang" | undefined
}

export const make = (
  request: HttpClientRequest.HttpClientRequest,
  { body, ending, headers, status = 200 }: Options
): HttpClientResponse.HttpClientResponse => {
  const length = ending === undefined ? { "content-length": String(body.byteLength) } : {}
  const web = new Response(null, { status, headers: { ...length, ...headers } })
  const response = HttpClientResponse.fromWeb(request, web)
  const cause = Object.assign(new Error("reset"), causes.reset)
  const cut = new HttpClientError.HttpClientError({
    reason: new HttpClientError.DecodeError({ request, response, cause })
  })
  const end = ending === undefined ? Effect.void : ending === "cut" ? Effect.fail(cut) : Effect.never
  return Object.create(response, {
    arrayBuffer: { value: Effect.as(end, new Uint8Array(body).buffer) },
    stream: { value: Stream.concat(Stream.make(body), Stream.drain(Stream.fromEffect(end))) }
  }) as HttpClientResponse.HttpClientResponse
}
