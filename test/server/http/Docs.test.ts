import { assert, it } from "@effect/vitest"
import { Context, Effect, Layer } from "effect"
import { Api } from "../../../src/api/Api.ts"
import { call, serve } from "../Support.ts"

class Server extends Context.Service<Server, { readonly url: string }>()("test/Server") {
  static readonly layer = Layer.effect(Server, serve())
}

it.layer(Server.layer, { excludeTestServices: true })("the contract as documentation", (it) => {
  it.effect("/openapi.json has every endpoint", () =>
    Effect.gen(function* () {
      const { url } = yield* Server
      const answer = yield* call(`${url}/openapi.json`, "GET")
      assert.strictEqual(answer.status, 200)
      const { paths } = JSON.parse(answer.text)
      const endpoints = Object.values(Api.groups).flatMap((group) => Object.values(group.endpoints))
      assert.isAbove(endpoints.length, 10)
      for (const { method, path } of endpoints) {
        assert.property(paths[path.replace(/:([a-z]+)/g, "{$1}")], method.toLowerCase(), path)
      }
      assert.include(answer.text, "session is closed")
    })
  )

  it.effect("/openapi.json has the refusals of each endpoint, and the event streams of turns and runs", () =>
    Effect.gen(function* () {
      const { url } = yield* Server
      const { paths } = JSON.parse((yield* call(`${url}/openapi.json`, "GET")).text)
      for (const [path, method, refusals] of [
        ["/healthz", "get", "400 403 421 431"],
        ["/sessions", "get", "400 401 403 421 422 431 503"],
        ["/sessions", "post", "400 401 403 413 421 422 429 431 502 503"],
        ["/sessions/{id}", "delete", "400 401 403 404 421 422 431 503"],
        ["/sessions/{id}/turn", "post", "400 401 403 404 410 413 421 422 429 431 502 503"],
        ["/run", "post", "400 401 403 404 413 421 422 429 431 502 503"],
        ["/files", "post", "400 401 403 413 421 422 429 431 503"],
        ["/admin/tokens", "post", "400 401 403 409 413 421 422 431 503"]
      ] as const) {
        const statuses = Object.keys(paths[path][method].responses)
        assert.strictEqual(statuses.join(" "), `200 ${refusals}`, `${method} ${path}`)
      }
      const { responses } = paths["/sessions/{id}/turn"].post
      for (const [status, ...headers] of [
        [200],
        [401, "WWW-Authenticate"],
        [429, "Retry-After"],
        [503, "Retry-After"]
      ] as const) {
        assert.hasAllKeys(responses[status].headers, ["X-Request-Id", ...headers], String(status))
      }
      for (const path of ["/run", "/sessions/{id}/turn"]) {
        const { parameters, responses } = paths[path].post
        assert.hasAllKeys(responses[200].content, ["application/json", "text/event-stream"], path)
        const names = parameters.map((parameter: { readonly name: string }) => parameter.name)
        assert.includeMembers(names, ["idempotency-key", "last-event-id"], path)
      }
      for (const path of ["/sessions", "/run", "/sessions/{id}/turn", "/sessions/{id}/cancel"]) {
        const { parameters } = paths[path].post
        const key = parameters.find((parameter: { readonly in: string }) => parameter.in === "header")
        assert.deepInclude(key, { name: "idempotency-key", required: false }, path)
      }
    })
  )

  it.effect("/openapi.json describes every answer in words", () =>
    Effect.gen(function* () {
      const { url } = yield* Server
      const { paths } = JSON.parse((yield* call(`${url}/openapi.json`, "GET")).text)
      for (const [path, operations] of Object.entries<object>(paths)) {
        for (const { responses } of Object.values(operations)) {
          for (const [status, { description }] of Object.entries<{ description: string }>(responses)) {
            assert.match(description, /^[A-Z][^/]+$/, `${path} ${status}`)
          }
        }
      }
      const { description } = paths["/sessions/{id}/turn"].post.responses[503]
      assert.include(description, "The server has reached its limit of open sessions, or has no process for an agent")
    })
  )

  it.effect("/docs has no script and loads nothing", () =>
    Effect.gen(function* () {
      const { url } = yield* Server
      const { headers, status, text } = yield* call(`${url}/docs`, "GET")
      assert.strictEqual(status, 200)
      assert.strictEqual(headers.get("content-type"), "text/html; charset=utf-8")
      assert.match(headers.get("content-security-policy") ?? "", /^default-src 'none'; /)
      assert.notMatch(text, /<(script|link|img|iframe|object|embed)\b|\b(src|srcset)=|@import|url\(|https?:\/\//i)
      for (const path of ["/sessions/{id}/turn", "/run", "/files", "/admin/tokens/{name}"]) assert.include(text, path)
      for (const name of ["idempotency-key", "X-Request-Id", "Retry-After"]) assert.include(text, name)
    })
  )

  it.effect("the documentation is read-only", () =>
    Effect.gen(function* () {
      const { url } = yield* Server
      for (const path of ["/docs", "/openapi.json", "/readyz", "/metrics"]) {
        const answer = yield* call(url + path, "POST")
        assert.deepStrictEqual([answer.status, answer.text], [405, '{"detail":"Method Not Allowed"}'], path)
        assert.strictEqual(answer.headers.get("allow"), "GET, HEAD")
      }
    })
  )
})
