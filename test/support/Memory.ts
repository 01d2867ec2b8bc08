/**
 * A server in memory behind an `HttpClient`, scripted as an effect: for tests that are about time alone.
 */
import { Clock, Effect, Layer } from "effect"
import { HttpClient } from "effect/http"
import * as MemoryResponse from "./MemoryResponse.ts"

/** A request, and when it was sent: in milliseconds of the test's clock. */
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

/** An answer, a connection that breaks, or one that is refused. */
export type Script = (sent: Sent, nth: number) => Effect.Effect<Answer | MemoryResponse.Broken>

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
      if (typeof answer === "string") return yield* MemoryResponse.broken(request, answer)
      const text = answer.json === undefined ? "" : JSON.stringify(answer.json)
      return MemoryResponse.make(request, { ...answer, body: new TextEncoder().encode(text) })
    })
  )
  return { sent, layer: Layer.succeed(HttpClient.HttpClient, http) }
}
