/**
 * A call that fails before the connection is established was not sent, and is retried; one that fails on a kept
 * connection has an unknown outcome.
 */
import * as NodeHttpClient from "@effect/platform-node/NodeHttpClient"
import { assert, describe, it } from "@effect/vitest"
import { Effect, Layer, type Scope, Stream } from "effect"
import { HttpClient } from "effect/http"
import { createServer } from "node:http"
import { Forge, type Upload } from "../../../src/index.ts"
import { NodeForgeClient } from "../../../src/node/index.ts"
import { health, layerClients, type Operation, operations } from "../../support/Clients.ts"
import { calls } from "../../support/Operations.ts"
import * as Connections from "../../support/Connections.ts"
import { eventually } from "../../support/Eventually.ts"
import { layer, layerServer, ScriptedServer } from "../../support/ScriptedServer.ts"

/** The `HttpClient` of Node, which records every request. */
const layerCounting = (sent: Array<string>, http = NodeForgeClient.layerHttpClient) =>
  Layer.effect(
    HttpClient.HttpClient,
    Effect.map(
      HttpClient.HttpClient,
      HttpClient.tapRequest(({ method, url }) =>
        Effect.sync(() => {
          const { pathname, search } = new URL(url)
          sent.push(`${method} ${pathname}${search}`)
        })
      )
    )
  ).pipe(Layer.provide(http))

/** Resolves no host name. */
const layerNoHost = NodeHttpClient.layerUndiciOptions({
  connect: {
    lookup: (host, _, callback) =>
      callback(
        Object.assign(new Error(`getaddrinfo ENOTFOUND ${host}`), { code: "ENOTFOUND", syscall: "getaddrinfo" }),
        ""
      )
  }
})

const at = (scheme: string) => (port: number) => `${scheme}://127.0.0.1:${port}`
const server = (scheme: string, raw: Effect.Effect<Connections.Connections, never, Scope.Scope>) =>
  Effect.map(raw, ({ port }) => at(scheme)(port))

const noHost = "a host that does not exist"

const unreachable: Record<string, Effect.Effect<string, never, Scope.Scope>> = {
  "a refused connection": Effect.map(Connections.abandonedPort, at("http")),
  [noHost]: Effect.succeed("http://nothing.invalid"),
  "a self-signed certificate": server("https", Connections.tls),
  "plain HTTP behind an https address": Effect.map(
    Effect.provide(
      Effect.map(ScriptedServer, ({ url }) => url),
      layerServer(() => ({ json: health() }))
    ),
    (url) => url.replace("http:", "https:")
  ),
  "a TLS handshake that is reset": server(
    "https",
    Connections.tcp((socket) => socket.once("data", () => socket.resetAndDestroy()))
  ),
  "a TLS handshake that ends": server(
    "https",
    Connections.tcp((socket) => socket.once("data", () => socket.end()))
  ),
  "a TLS handshake that is answered in plain text": server(
    "https",
    Connections.tcp((socket) => socket.once("data", () => socket.end("HTTP/1.1 400 Bad Request\r\n\r\n")))
  )
}

describe("every call is retried when it was not sent", () => {
  for (const [name, address] of Object.entries(unreachable)) {
    it.live(name, () =>
      Effect.gen(function* () {
        const url = yield* address
        const sent: Array<string> = []
        const clients = Layer.provide(
          layerClients(url, { times: 2, pause: 1 }),
          name === noHost ? layerCounting(sent, layerNoHost) : layerCounting(sent)
        )
        const failing = ({ call, name, request }: Operation) =>
          Effect.map(Effect.flip(call), (error) => {
            assert.deepInclude(error, { _tag: "TransportError", outcome: "not-sent" }, name)
            assert.strictEqual(error._tag === "TransportError" && error.reason._tag, "Connect", name)
            assert.strictEqual(sent.filter((one) => one === request).length, 3, name)
            assert.isAtMost(error.message.length, 200, name)
          })
        yield* Effect.forEach(operations, failing).pipe(Effect.provide(clients))
      }).pipe(Effect.scoped)
    )
  }

  it.live("so a server that is still starting gets each call once", () =>
    Effect.gen(function* () {
      const port = yield* Connections.abandonedPort
      const received: Array<string> = []
      const started = createServer((request, response) => {
        received.push(`${request.method} ${request.url}`)
        response.end(JSON.stringify(calls["turn"]?.good))
      })
      yield* Effect.addFinalizer(() => Effect.sync(() => started.close().closeAllConnections()))
      const sent: Array<string> = []
      const clients = Layer.provide(
        layerClients(at("http")(port), { times: 1000, pause: 5, maxPause: 20 }),
        layerCounting(sent)
      )
      const start = Effect.callback<void>((resume) => {
        started.listen(port, "127.0.0.1", () => resume(Effect.void))
      })
      const repeated = Effect.sync(() => sent.length).pipe(eventually("a repeat", (count) => count > 1))
      const startLater = Effect.andThen(repeated, start)
      const turn = calls["turn"]?.call ?? Effect.die("there is such a call")
      yield* Effect.all([turn, startLater], { concurrency: 2 }).pipe(Effect.provide(clients))
      assert.isAbove(sent.length, 1)
      assert.deepStrictEqual(received, ["POST /sessions/s-1/turn"])
    }).pipe(Effect.scoped)
  )
})

it.live("a file whose error looks like a refused connection is read and sent only once", () => {
  let read = 0
  const refused = { code: "ECONNREFUSED", syscall: "connect" }
  const source: Upload.Source<typeof refused> = {
    name: "remote.txt",
    size: undefined,
    rereadable: true,
    content: Stream.concat(
      Stream.make(new Uint8Array(10)),
      Stream.unwrap(Effect.sync(() => (read++, Stream.fail(refused))))
    )
  }
  return Effect.gen(function* () {
    const error = yield* Effect.flip(Forge.upload(source))
    assert.strictEqual(error, refused)
    assert.strictEqual(read, 1)
  }).pipe(Effect.provide(layer(() => ({ json: {} }), { retry: { times: 3, pause: 1 } })))
})

describe("a kept connection that the server closes as the next call is written", () => {
  const oneConnection = NodeHttpClient.layerUndiciOptions({ connections: 1 })
  const answer = JSON.stringify(health())
  const keepsOnce = Connections.tcp((socket) => {
    let requests = 0
    socket.on("data", () => {
      // The second request meets a connection that ends, before a byte of an answer.
      if (++requests === 1) socket.write(`HTTP/1.1 200 OK\r\nContent-Length: ${answer.length}\r\n\r\n${answer}`)
      else socket.end()
    })
  })

  for (const { call, kind, name } of operations) {
    it.live(`leaves the outcome unknown: ${name}`, () =>
      Effect.gen(function* () {
        const { connections, port } = yield* keepsOnce
        const program = Effect.andThen(calls["health"]?.call ?? Effect.void, Effect.flip(call))
        const clients = Layer.provide(layerClients(at("http")(port), false), oneConnection)
        const error = yield* Effect.provide(program, clients)
        assert.deepInclude(error, { _tag: "TransportError", outcome: "unknown" }, kind)
        assert.strictEqual(connections(), 1)
      }).pipe(Effect.scoped)
    )
  }
})

it.live("an unrequested 100 Continue leaves the outcome unknown, and the error says what came", () =>
  Effect.gen(function* () {
    const { port } = yield* Connections.tcp((socket) => {
      socket.on("data", () =>
        socket.write("HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}")
      )
    })
    const origin = `http://127.0.0.1:${port}`
    const error = yield* Effect.flip(Forge.run("hello")).pipe(
      Effect.provide(Layer.provide(layerClients(origin, false), NodeForgeClient.layerHttpClient))
    )
    assert.deepNestedInclude(error, {
      "reason._tag": "Reset",
      outcome: "unknown",
      message: `the connection to ${origin} broke before the answer was whole: it began with 100 Continue, which undici does not accept where it was not asked for`
    })
  }).pipe(Effect.scoped)
)
