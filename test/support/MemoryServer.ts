/**
 * The scripted server without a socket: a client reaches it through an `HttpClient` in memory. Tests use it wherever the
 * transport is not what they are about.
 */
import { Deferred, Effect, Layer, Redacted, Stream } from "effect"
import { type HttpBody, HttpClient, type HttpClientRequest } from "effect/http"
import { ForgeAdmin, ForgeClient } from "../../src/index.ts"
import * as Calls from "./Calls.ts"
import * as MemoryResponse from "./MemoryResponse.ts"
import { type Answer, makeLog, type Received, type Script, ScriptedServer } from "./ScriptedServer.ts"

export const url = "http://forge.test"

const bytesOf = (body: HttpBody.HttpBody): Effect.Effect<Buffer> => {
  if (body._tag === "Uint8Array") return Effect.succeed(Buffer.from(body.body))
  if (body._tag !== "Stream") return Effect.succeed(Buffer.alloc(0))
  return Effect.map(Effect.orDie(Stream.runCollect(body.stream)), (chunks) => Buffer.concat(chunks))
}

const respond = (request: HttpClientRequest.HttpClientRequest, answer: Exclude<Answer, string>) => {
  const { cut, hang, headers, json, status } = answer
  const text = answer.text ?? (json === undefined ? "" : JSON.stringify(json))
  return MemoryResponse.make(request, {
    status,
    headers: { "content-type": json === undefined ? "text/plain" : "application/json", ...headers },
    body: typeof text === "string" ? new TextEncoder().encode(text) : text,
    ending: cut === true ? "cut" : hang === true ? "hang" : undefined
  })
}

const isSpoken = (answer: Answer) => answer !== "silence"

/** A server in memory, and the `HttpClient` that reaches it. */
export const make = (script: Script) => {
  const log = makeLog()
  const http = HttpClient.make((request, { pathname, search }) =>
    Effect.gen(function* () {
      const bytes = yield* bytesOf(request.body)
      const one: Received = {
        method: request.method,
        path: pathname + search,
        headers: request.headers,
        body: bytes.toString("utf8"),
        bytes,
        aborted: Deferred.makeUnsafe<void>()
      }
      const said = script(one, log.add(one))
      const answering = said instanceof Promise ? Effect.promise(() => said) : Effect.succeed(said)
      const answer = yield* Effect.filterOrElse(answering, isSpoken, () => Effect.never).pipe(
        Effect.onInterrupt(() => Deferred.succeed(one.aborted, undefined))
      )
      if (answer === "reset") return yield* MemoryResponse.broken(request, "reset")
      return respond(request, answer)
    })
  )
  return {
    layerHttpClient: Layer.succeed(HttpClient.HttpClient, http),
    layerServer: Layer.succeed(ScriptedServer, { url, received: log.received, arrival: log.arrival })
  }
}

type ClientOptions = Partial<ForgeClient.Options>

/** A server with a script, the `HttpClient` that reaches it, and a client for it. */
export const layer = (script: Script, options: ClientOptions = {}) =>
  Layer.unwrap(
    Effect.sync(() => {
      const { layerHttpClient, layerServer } = make(script)
      const client = ForgeClient.layer({ url, token: Redacted.make("cf_test-token"), ...options })
      return Layer.merge(Layer.provideMerge(client, layerHttpClient), layerServer)
    })
  )

/** A server with a script, and its client, its stateless calls and its administration. */
export const layerClients = (script: Script, options: ClientOptions = {}) => {
  const admin = ForgeAdmin.layer({ url, token: Redacted.make("admin-token"), ...options })
  const calls = Calls.layer({ url, token: Redacted.make("cf_test-token"), ...options })
  return Layer.provideMerge(Layer.merge(admin, calls), layer(script, options))
}
