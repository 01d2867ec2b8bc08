/**
 * A server in memory, behind an `HttpClient`: for what is a matter of time alone.
 */
import { Clock, Effect, Layer } from "effect"
import { HttpClient, HttpClientError, HttpClientRequest, HttpClientResponse } from "effect/http"

/** A request, and when it was sent: in milliseconds by the clock of the test. */
export interface Sent {
  readonly at: number
  readonly request: string
  readonly key: string | undefined
}

export interface Answer {
  readonly status?: number
  readonly json?: unknown
  readonly headers?: Record<string, string>
}

/** An answer, or a connection that breaks, or that is refused. */
export type Script = (sent: Sent, nth: number) => Effect.Effect<Answer | "reset" | "refused">

const broken = {
  reset: { code: "ECONNRESET", syscall: "read" },
  refused: { code: "ECONNREFUSED", syscall: "connect" }
}

/** A response whose body is there at once, so that no time passes but that of the test's clock. */
const respond = (request: HttpClientRequest.HttpClientRequest, { headers, json, status = 200 }: Answer) => {
  const text = json === undefined ? "" : JSON.stringify(json)
  const bytes = new TextEncoder().encode(text)
  const web = new Response(null, { status, headers: { ...headers, "content-length": String(bytes.byteLength) } })
  return Object.create(HttpClientResponse.fromWeb(request, web), {
    arrayBuffer: { value: Effect.succeed(bytes.buffer) }
  }) as HttpClientResponse.HttpClientResponse
}

export const make = (script: Script) => {
  const sent: Array<Sent> = []
  const http = HttpClient.make((request, { pathname, search }) =>
    Effect.gen(function* () {
      const one: Sent = {
        at: yield* Clock.currentTimeMillis,
        request: `${request.method} ${pathname}${search}`,
        key: request.headers["idempotency-key"]
      }
      sent.push(one)
      const answer = yield* script(one, sent.length)
      if (typeof answer !== "string") return respond(request, answer)
      const cause = Object.assign(new Error(answer), broken[answer])
      return yield* new HttpClientError.HttpClientError({
        reason: new HttpClientError.TransportError({ request, cause })
      })
    })
  )
  return { sent, layer: Layer.succeed(HttpClient.HttpClient, http) }
}
