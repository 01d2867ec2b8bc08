import { assert, it } from "@effect/vitest"
import { Context, Deferred, Effect, Fiber, Latch, Layer, Stream } from "effect"
import { HttpServer, HttpServerRequest, HttpServerResponse } from "effect/http"
import * as Listener from "../../../src/server/http/Listener.ts"
import type * as ForgeServer from "../../../src/server/ForgeServer.ts"
import { patience } from "../../support/Patience.ts"
import * as Http from "../../support/Http.ts"
import { serve } from "../Support.ts"

const open = Effect.fnUntraced(function* (options: Partial<ForgeServer.Options> = {}) {
  const server = yield* serve(options)
  const app = yield* server.mint("app")
  return { ...Http.raw(server.url), app, bearer: `authorization: Bearer ${app.token}` }
})

class Shared extends Context.Service<Shared, Effect.Success<ReturnType<typeof open>>>()("test/Shared") {
  static readonly layer = Layer.effect(Shared, open())
}

const host = "host: localhost"
const methodNotAllowed = [405, '{"detail":"Method Not Allowed"}'] as const

it.layer(Shared.layer, { excludeTestServices: true })("the socket", (it) => {
  it.effect("ignores an offer to upgrade, and refuses a tunnel", () =>
    Effect.gen(function* () {
      const { ask, bearer } = yield* Shared
      const chunked = ["transfer-encoding: chunked", "content-type: application/json", "", "2", "{}", "0"]
      for (const upgrade of ["upgrade: websocket", "upgrade: h2c"]) {
        const [status] = yield* ask("GET /sessions HTTP/1.1", host, bearer, "connection: upgrade", upgrade)
        assert.strictEqual(status, 200, upgrade)
        const run = yield* ask("POST /run HTTP/1.1", host, bearer, "connection: upgrade", upgrade, ...chunked)
        assert.strictEqual(run[0], 422, upgrade)
      }
      for (const target of ["evil.example:443", "/healthz"]) {
        assert.deepStrictEqual(yield* ask(`CONNECT ${target} HTTP/1.1`, host, bearer), methodNotAllowed, target)
      }
    })
  )

  it.effect("closes a connection on invalid input, which is not taken for the answer to the request before", () =>
    Effect.gen(function* () {
      const { app, bearer, send } = yield* Shared
      const { id } = yield* app.open
      const body = '{"prompt":"/wait"}'
      const head = [host, bearer, "content-type: application/json", `content-length: ${body.length}`]
      const turn = [`POST /sessions/${id}/turn HTTP/1.1`, ...head, "", body].join("\r\n")
      assert.strictEqual(yield* send(`${turn}nonsense\r\n\r\n`), "")
      yield* app.request("DELETE", `/sessions/${id}`)
    })
  )

  it.effect("refuses invalid input with a sentence, and closes its connection", () =>
    Effect.gen(function* () {
      const { ask, bearer, send } = yield* Shared
      const no = (answer: string) => [answer.split("\r\n", 1)[0], answer.split("\r\n\r\n")[1]]
      const bad = ["HTTP/1.1 400 Bad Request", '{"detail":"this is not an HTTP request"}']
      for (const bytes of [
        "\u0016\u0003\u0001\u0002\u0000\r\n\r\n",
        "nonsense\r\n\r\n",
        `POST /sessions HTTP/1.1\r\n${host}\r\n${bearer}\r\ncontent-length: 5\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n`,
        `GET /healthz HTTP/1.1\r\n${host}\r\nx : y\r\n\r\n`,
        `GET /healthz HTTP/1.1\r\n${host}\r\nx: a\u0000b\r\n\r\n`
      ]) {
        assert.deepStrictEqual(no(yield* send(bytes)), bad, bytes)
      }
      const large = "a".repeat(17_000)
      for (const bytes of [`GET /${large} HTTP/1.1\r\n\r\n`, `GET /healthz HTTP/1.1\r\nx: ${large}\r\n\r\n`]) {
        assert.deepStrictEqual(no(yield* send(bytes)), [
          "HTTP/1.1 431 Request Header Fields Too Large",
          '{"detail":"the headers are too large"}'
        ])
      }
      const expected = yield* ask("GET /healthz HTTP/1.1", host, "expect: the-unexpected")
      assert.deepStrictEqual(expected, [417, '{"detail":"only 100-continue can be expected"}'])
    })
  )

  it.effect("cuts a client that is slow with its headers or its body, or idle, but not a long turn", () =>
    Effect.gen(function* () {
      const { app, send, bearer } = yield* open({ headersTimeout: "1 second", requestTimeout: "2 seconds" })
      const { id } = yield* app.open
      const long = yield* Effect.forkChild(app.turn(id, "/wait"))
      yield* app.turns(id, 1)
      const slow = yield* Effect.forEach(
        [
          "",
          "GET /healthz HTTP/1.1\r\nhost: loc",
          `POST /sessions HTTP/1.1\r\n${host}\r\n${bearer}\r\ncontent-type: application/json\r\ncontent-length: 99\r\n\r\n{`
        ],
        send,
        { concurrency: "unbounded" }
      )
      for (const answer of slow) {
        assert.match(answer, /^HTTP\/1.1 408 /)
        assert.include(answer, '{"detail":"the request took too long"}')
        assert.match(answer, /^connection: close\r$/im)
      }
      yield* app.request("POST", `/sessions/${id}/cancel`)
      assert.strictEqual((yield* Fiber.join(long)).status, 200)
    })
  )
})

it.live("a server that has stopped holds no connection, neither an idle one nor one with an incomplete request", () =>
  Effect.gen(function* () {
    const server = yield* serve()
    const { ask, send } = Http.raw(server.url)
    const silent = yield* Effect.forkChild(send(""))
    const midway = yield* Effect.forkChild(send(`GET /healthz HTTP/1.1\r\n${host}\r\n`))
    // The answer to this request shows that the server has got the ones before.
    assert.strictEqual((yield* ask("GET /healthz HTTP/1.1", host))[0], 200)
    yield* server.stop
    assert.deepStrictEqual(yield* Effect.timeout(Effect.all([Fiber.join(silent), Fiber.join(midway)]), patience), [
      "",
      ""
    ])
  }).pipe(Effect.scoped)
)

/** More than the system buffers of a response that is not read. */
const long = "x".repeat(64 * 1024 * 1024)

/** Sends a request and reads nothing until `read`, which returns the number of bytes. */
const askAndStall = Effect.fnUntraced(function* (url: string, path: string) {
  const socket = yield* Effect.acquireRelease(
    Effect.sync(() => Http.connect(url)),
    (socket) => Effect.sync(() => socket.destroy())
  )
  socket.write(`GET ${path} HTTP/1.1\r\n${host}\r\n\r\n`)
  const read = Effect.callback<number>((resume) => {
    socket.on("close", () => resume(Effect.succeed(socket.bytesRead)))
    socket.resume()
  })
  return { read }
})

it.live(
  "the connection of a response that is not read is cut, also when all of it is written; that of a silent one is not",
  () =>
    Effect.gen(function* () {
      const asked = yield* Latch.make()
      const speak = yield* Latch.make()
      const ends = { "/whole": yield* Deferred.make<void>(), "/stream": yield* Deferred.make<void>() }
      const server = yield* HttpServer.HttpServer
      yield* server.serve(
        Effect.gen(function* () {
          const { url } = yield* HttpServerRequest.HttpServerRequest
          if (url === "/whole" || url === "/stream") {
            yield* Effect.addFinalizer(() => Deferred.succeed(ends[url], undefined))
            return url === "/whole"
              ? HttpServerResponse.text(long)
              : HttpServerResponse.stream(Stream.make(new TextEncoder().encode(long)))
          }
          yield* asked.open
          yield* speak.await
          return HttpServerResponse.text("Here.")
        })
      )
      // A server that stops waits for its unanswered requests.
      yield* Effect.addFinalizer(() => speak.open)
      const url = HttpServer.formatAddress(server.address)
      const silent = yield* Effect.forkChild(Http.raw(url).send(`GET /silent HTTP/1.1\r\n${host}\r\n\r\n`))
      yield* asked.await
      for (const path of ["/whole", "/stream"] as const) {
        const { read } = yield* askAndStall(url, path)
        yield* Effect.timeout(Deferred.await(ends[path]), patience)
        assert.isBelow(yield* read, long.length, path)
      }
      yield* speak.open
      assert.include(yield* Fiber.join(silent), "Here.")
    }).pipe(Effect.scoped, Effect.provide(Listener.layer({ port: 0, maxStall: "100 millis" })))
)
