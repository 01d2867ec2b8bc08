import { assert, describe, it } from "@effect/vitest"
import { Context, Effect, Fiber, Layer, Redacted } from "effect"
import * as Http from "../support/Http.ts"
import { call, serve } from "./Support.ts"
import { eventually } from "../support/Eventually.ts"

const adminToken = "the-admin-token-of-this-test-0123456789"

const shared = Effect.gen(function* () {
  const server = yield* serve({
    adminToken: Redacted.make(adminToken),
    maxAppSessions: 3,
    maxAppTurns: 2,
    maxWaitingTurns: 2
  })
  const app = yield* server.mint("app")
  const { ask, send } = Http.raw(server.url)
  return { ...server, app, send, ask, bearer: `authorization: Bearer ${app.token}` }
})
class Shared extends Context.Service<Shared, Effect.Success<typeof shared>>()("test/Shared") {
  static readonly layer = Layer.effect(Shared, shared)
}

const host = "host: localhost"
const misdirected = [421, '{"detail":"Misdirected Request"}'] as const
const missing = [401, '{"detail":"missing bearer token"}'] as const

it.layer(Shared.layer, { excludeTestServices: true })("access", (it) => {
  it.effect("DNS rebinding: a foreign host name is refused on every path and method, whatever the token", () =>
    Effect.gen(function* () {
      const { ask, bearer } = yield* Shared
      for (const name of [
        "evil.example",
        "localhost.evil.example",
        "127.0.0.1.nip.io",
        "evil.example:8800",
        "localhost@evil.example",
        "[::2]",
        "0.0.0.0",
        "2130706433",
        "localhost.",
        ""
      ]) {
        for (const line of ["GET /healthz", "GET /sessions", "POST /run", "GET /docs", "GET /metrics", "PUT /nope"]) {
          const answer = yield* ask(`${line} HTTP/1.1`, `host: ${name}`, bearer, "content-length: 0")
          assert.deepStrictEqual(answer, misdirected, `${line} ${name}`)
        }
      }
      assert.deepStrictEqual(yield* ask("GET http://evil.example/sessions HTTP/1.1", host, bearer), misdirected)
      assert.deepStrictEqual(yield* ask("GET /healthz HTTP/1.1"), misdirected)
      assert.deepStrictEqual(yield* ask("GET /healthz HTTP/1.0", "host: evil.example"), misdirected)
      // An upgrade is refused as well.
      const upgrade = ["connection: Upgrade", "upgrade: websocket", "sec-websocket-key: dGhlIHNhbXBsZSBub25jZQ=="]
      assert.deepStrictEqual(
        yield* ask("GET /sessions HTTP/1.1", "host: evil.example", bearer, ...upgrade),
        misdirected
      )
      assert.deepStrictEqual(yield* ask("GET /sessions HTTP/1.1", host, ...upgrade), missing)
    })
  )

  it.effect("a page of another origin may neither send requests nor read answers", () =>
    Effect.gen(function* () {
      const { app, ask, url } = yield* Shared
      const origin = "origin: https://evil.example"
      for (const path of ["/sessions", "/run", "/files", "/healthz", "/admin/tokens"]) {
        const preflight = yield* call(url + path, "OPTIONS", {
          headers: { origin: "https://evil.example", "access-control-request-method": "POST" }
        })
        // A health check may ask by OPTIONS; what a page may do is in the headers.
        assert.strictEqual(preflight.status, path === "/healthz" ? 204 : 405, path)
        const answers = [preflight, yield* app.request("GET", path, { headers: { origin: "https://evil.example" } })]
        for (const { headers } of answers) {
          assert.deepStrictEqual(
            [...headers.keys()].filter((name) => name.startsWith("access-control-")),
            [],
            path
          )
        }
      }
      // A request that a page may send without a preflight has no bearer token.
      const simple = ["content-type: text/plain", "content-length: 2"]
      assert.deepStrictEqual(yield* ask("POST /run HTTP/1.1", host, origin, ...simple), missing)
    })
  )

  it.effect("a token is accepted in the Authorization header alone", () =>
    Effect.gen(function* () {
      const { app, ask } = yield* Shared
      const { token } = app
      const query = `?token=${token}&access_token=${token}&authorization=Bearer%20${token}`
      assert.deepStrictEqual(yield* ask(`GET /sessions${query} HTTP/1.1`, host), missing)
      for (const header of [
        `cookie: authorization=Bearer ${token}; token=${token}`,
        `proxy-authorization: Bearer ${token}`,
        `x-authorization: Bearer ${token}`,
        `x-api-key: ${token}`,
        `authorization: ${token}`,
        `authorization: Basic ${token}`
      ]) {
        assert.deepStrictEqual(yield* ask("GET /sessions HTTP/1.1", host, header), missing, header)
      }
    })
  )

  it.effect("a repeated Host or Authorization header is 400", () =>
    Effect.gen(function* () {
      const { ask, bearer } = yield* Shared
      const twice = [400, '{"detail":"Host and Authorization must not be sent more than once"}'] as const
      for (const headers of [
        [host, "authorization: Bearer cf_other", bearer],
        [host, bearer, "Authorization: Bearer cf_other"],
        [host, bearer, bearer],
        [host, "host: evil.example", bearer],
        ["host: evil.example", "HOST: localhost", bearer]
      ]) {
        assert.deepStrictEqual(yield* ask("GET /sessions HTTP/1.1", ...headers), twice, headers.join())
      }
    })
  )

  it.effect("a malformed request id is replaced, and nothing else of a request gets into a header", () =>
    Effect.gen(function* () {
      const { app, send, bearer } = yield* Shared
      const get = (path: string, id: string) =>
        send(["GET " + path + " HTTP/1.1", host, bearer, `x-request-id: ${id}`, "", ""].join("\r\n"))
      for (const id of ["a b", "a,b", "é", "a\tb", "<script>", "a".repeat(129), "", "a\r\n x: y", "../a"]) {
        const answer = yield* get("/healthz", id)
        assert.match(answer, /^x-request-id: [0-9a-f-]{36}\r$/im, id)
      }
      const split = yield* get("/nope%0d%0aset-cookie:%20a=b", "fine.id")
      assert.match(split, /^x-request-id: fine\.id\r$/im)
      assert.notMatch(split, /^set-cookie/im)
      const twice = yield* send(
        ["GET /healthz HTTP/1.1", host, "x-request-id: a", "x-request-id: b", "", ""].join("\r\n")
      )
      assert.match(twice, /^x-request-id: [0-9a-f-]{36}\r$/im)
      const unauthorized = yield* app.request("GET", "/sessions", { headers: { authorization: "Bearer a" } })
      assert.strictEqual(unauthorized.headers.get("www-authenticate"), "Bearer")
    })
  )

  it.effect("a deeply nested body is refused before it is parsed", () =>
    Effect.gen(function* () {
      const { app, url } = yield* Shared
      const { id } = yield* app.open
      const refused = [
        422,
        '{"detail":[{"loc":["body"],"msg":"must not be nested deeper than 64","type":"value_error"}]}'
      ]
      const brackets = `${"[".repeat(2_000_000)}${"]".repeat(2_000_000)}`
      const braces = `${'{"a":'.repeat(500_000)}1${"}".repeat(500_000)}`
      for (const [path, body] of [
        ["/sessions", `{"agent":"demo","meta":{"a":${brackets}}}`],
        ["/sessions", `{"agent":"demo","ignored":${brackets}}`],
        ["/sessions", `{"agent":"demo","meta":${braces}}`],
        [`/sessions/${id}/turn`, brackets],
        ["/run", `{"prompt":"x","ignored":${braces}}`],
        ["/run", "[".repeat(4_000_000)]
      ] as const) {
        const bomb = yield* Effect.forkChild(app.request("POST", path, { body }))
        // Other requests are served meanwhile.
        yield* call(`${url}/healthz`, "GET")
        const answer = yield* Fiber.join(bomb)
        assert.deepStrictEqual([answer.status, answer.text], refused)
      }
      const text = JSON.stringify("[".repeat(1_000) + '"\\')
      assert.strictEqual(
        (yield* app.request("POST", `/sessions/${id}/turn`, { body: `{"prompt":${text}}` })).status,
        200
      )
      yield* app.request("DELETE", `/sessions/${id}`)
    })
  )

  it.effect("the names of prototype members are ordinary keys", () =>
    Effect.gen(function* () {
      const { app } = yield* Shared
      const meta = '{"__proto__":{"polluted":1},"constructor":{"prototype":{"polluted":1}},"toString":"x"}'
      const created = yield* app.request("POST", "/sessions", { body: `{"agent":"demo","meta":${meta}}` })
      const id = /"session_id":"([^"]+)"/.exec(created.text)?.[1]
      const state = yield* app.request("GET", `/sessions/${id}`)
      assert.include(state.text, `"meta":${meta}`)
      assert.notProperty({}, "polluted")
      const inherited = yield* app.request("POST", "/run", { body: '{"__proto__":{"prompt":"/echo x"}}' })
      assert.strictEqual(inherited.status, 422)
      for (const agent of ["__proto__", "constructor", "toString"]) {
        assert.strictEqual((yield* app.request("POST", "/sessions", { body: { agent } })).status, 422, agent)
      }
      yield* app.request("DELETE", `/sessions/${id}`)
    })
  )

  it.effect("an app has limits: open sessions, running turns, and turns that wait for one session", () =>
    Effect.gen(function* () {
      const { app, mint } = yield* Shared
      const other = yield* mint("another")
      const tooMany = [429, '{"detail":"too many requests"}', "1"]
      const of = (answer: { readonly status: number; readonly text: string; readonly headers: Headers }) => [
        answer.status,
        answer.text,
        answer.headers.get("retry-after")
      ]
      const [one, two, three] = yield* Effect.all([app.open, app.open, app.open])
      const opening = app.request("POST", "/sessions", { body: { agent: "demo" } })
      assert.deepStrictEqual(of(yield* opening), tooMany)
      const free = yield* other.open

      const running = yield* Effect.forEach([one, two], ({ id }) => Effect.forkChild(app.turn(id, "/wait")))
      yield* app.turns(one.id, 1)
      yield* app.turns(two.id, 1)
      assert.deepStrictEqual(of(yield* app.turn(three.id, "/echo no")), tooMany)
      assert.strictEqual((yield* other.turn(free.id, "/echo yes")).status, 200)

      const waiting = yield* Effect.forEach(["a", "b", "c"], (word) =>
        Effect.forkChild(app.turn(one.id, `/echo ${word}`), { startImmediately: true })
      )
      const refused = yield* Effect.raceAll(waiting.map(Fiber.join))
      assert.deepStrictEqual(of(refused), tooMany)
      assert.strictEqual((yield* app.state(one.id)).turn_count, 1)

      // Waiting turns do not count against the running ones.
      yield* Effect.forEach([one, two], ({ id }) => app.request("POST", `/sessions/${id}/cancel`))
      const answers = yield* Effect.forEach(waiting, Fiber.join)
      assert.sameMembers(
        answers.map(({ status }) => status),
        [200, 200, 429]
      )
      yield* Effect.forEach(running, Fiber.join)
      yield* app.turn(three.id, "/echo yes").pipe(eventually("room for a turn", ({ status }) => status === 200))
      yield* app.request("DELETE", `/sessions/${one.id}`)
      assert.strictEqual((yield* opening).status, 200)
    })
  )
})

describe("a server with allowed origins", () => {
  it.live("answers preflight requests of those origins and of no other", () =>
    Effect.gen(function* () {
      const { mint, url } = yield* serve({ corsOrigins: ["https://app.example", "https://b.example"] })
      const app = yield* mint("app")
      const preflight = (origin: string, more: Readonly<Record<string, string>> = {}) =>
        call(`${url}/sessions`, "OPTIONS", {
          headers: { origin, "access-control-request-method": "POST", ...more }
        })
      const allowed = yield* preflight("https://app.example", { "access-control-request-headers": "authorization" })
      assert.strictEqual(allowed.headers.get("access-control-allow-origin"), "https://app.example")
      assert.isNull(allowed.headers.get("access-control-allow-credentials"))
      // A browser asks once for as long, and not before each call.
      assert.strictEqual(allowed.headers.get("access-control-max-age"), "7200")
      const namesIn = (header: string) => (allowed.headers.get(header) ?? "").toLowerCase().split(/, */)
      assert.includeMembers(namesIn("access-control-allow-methods"), ["get", "post", "put", "patch", "delete"])
      // What our client sends, and what the contract reads.
      for (const name of [
        "authorization",
        "content-type",
        "idempotency-key",
        "x-request-id",
        "traceparent",
        "tracestate",
        "last-event-id",
        "range",
        "if-match",
        "if-none-match",
        "clawdforge-handles",
        "clawdforge-reader"
      ]) {
        assert.include(namesIn("access-control-allow-headers"), name)
      }
      const read = yield* app.request("GET", "/sessions", { headers: { origin: "https://b.example" } })
      assert.strictEqual(read.headers.get("access-control-allow-origin"), "https://b.example")
      assert.include(read.headers.get("vary") ?? "", "Origin")
      const exposed = (read.headers.get("access-control-expose-headers") ?? "").toLowerCase().split(/, */)
      assert.includeMembers(exposed, ["x-request-id", "retry-after", "www-authenticate", "allow"])
      assert.includeMembers(exposed, ["etag", "accept-ranges", "content-range", "content-disposition"])
      for (const origin of ["https://evil.example", "null", "https://app.example.evil", "http://app.example", "*"]) {
        assert.isNull((yield* preflight(origin)).headers.get("access-control-allow-origin"), origin)
        const other = yield* app.request("GET", "/sessions", { headers: { origin } })
        assert.isNull(other.headers.get("access-control-allow-origin"), origin)
      }
    }).pipe(Effect.scoped)
  )

  it.live("lets them read refusals too", () =>
    Effect.gen(function* () {
      const { url } = yield* serve({ corsOrigins: ["https://app.example"] })
      for (const [method, path, status] of [
        ["GET", "/sessions", 401],
        ["PUT", "/sessions", 405],
        ["GET", "/nope", 404]
      ] as const) {
        const { headers, ...answer } = yield* call(url + path, method, { headers: { origin: "https://app.example" } })
        assert.strictEqual(answer.status, status)
        assert.strictEqual(headers.get("access-control-allow-origin"), "https://app.example", path)
      }
    }).pipe(Effect.scoped)
  )
})
