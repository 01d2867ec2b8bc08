import { assert, it } from "@effect/vitest"
import { Context, Effect, Layer } from "effect"
import * as Http from "../../support/Http.ts"
import { serve } from "../Support.ts"

const shared = Effect.gen(function* () {
  const server = yield* serve()
  const app = yield* server.mint("app")
  return { ...Http.raw(server.url), app, bearer: `authorization: Bearer ${app.token}` }
})
class Shared extends Context.Service<Shared, Effect.Success<typeof shared>>()("test/Shared") {
  static readonly layer = Layer.effect(Shared, shared)
}

const host = "host: localhost"
const notFound = [404, '{"detail":"Not Found"}'] as const

it.layer(Shared.layer, { excludeTestServices: true })("paths", (it) => {
  it.effect("a path has one spelling", () =>
    Effect.gen(function* () {
      const { ask, bearer } = yield* Shared
      for (const path of [
        "//sessions",
        "/sessions//",
        "/sessions/",
        "/./sessions",
        "/admin/../sessions",
        "/healthz/../sessions",
        "/Sessions",
        "/SESSIONS",
        "/%73essions",
        "/sessions;a=b",
        "/sessions;",
        "/sessions#a",
        "/sessions%2f",
        "/sessions/%2e%2e/healthz",
        "/sessions/%2e%2e%2fhealthz",
        "/sessions/%00",
        "/sessions/a;b",
        "/..%2fsessions",
        "/sessions/%zz",
        "/sessions\\x",
        "/metrics/",
        "/metricsx",
        "/openapixjson",
        "/%6detrics",
        "/%61dmin/tokens",
        "/admin/tokens;a=b",
        "*",
        "http://localhost:x/sessions",
        `/sessions/${"a".repeat(5_000)}`
      ]) {
        for (const method of ["GET", "POST", "PROPFIND"]) {
          assert.deepStrictEqual(yield* ask(`${method} ${path} HTTP/1.1`, host, bearer), notFound, path)
        }
      }
      for (const path of ["/sessions/..", "/sessions/__proto__", "/sessions/~"]) {
        const answer = yield* ask(`GET ${path} HTTP/1.1`, host, bearer)
        assert.deepStrictEqual(answer, [404, '{"detail":"session not found"}'], path)
      }
    })
  )

  it.effect("a wrong method is answered with the methods of the path", () =>
    Effect.gen(function* () {
      const { bearer, send } = yield* Shared
      for (const [method, path, allow] of [
        ["TRACE", "/healthz", "GET, HEAD"],
        ["PROPFIND", "/sessions", "POST, GET, HEAD"],
        ["PATCH", "/sessions/x", "GET, HEAD, DELETE"],
        ["HEAD", "/run", "POST"],
        ["OPTIONS", "/admin/tokens", "POST, GET, HEAD"]
      ]) {
        const answer = yield* send(
          [`${method} ${path} HTTP/1.1`, host, bearer, "connection: close", "", ""].join("\r\n")
        )
        assert.match(answer, /^HTTP\/1.1 405 /, `${method} ${path}`)
        assert.include(answer, `\r\nallow: ${allow}\r\n`)
      }
      const head = yield* send(["HEAD /sessions HTTP/1.1", host, bearer, "connection: close", "", ""].join("\r\n"))
      assert.match(head, /^HTTP\/1.1 200 OK\r\n(.+\r\n)+\r\n$/)
    })
  )
})
