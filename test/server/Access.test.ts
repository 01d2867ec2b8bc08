import { assert, describe, it } from "@effect/vitest"
import { Context, Effect, Fiber, Layer, Redacted, Schedule } from "effect"
import { connect } from "node:net"
import { call, serve } from "./Support.ts"

const adminToken = "the-admin-token-of-this-test-0123456789"

const shared = Effect.gen(function* () {
  const server = yield* serve({
    adminToken: Redacted.make(adminToken),
    headersTimeout: "300 millis",
    requestTimeout: "600 millis",
    maxAppSessions: 3,
    maxAppTurns: 2,
    maxWaitingTurns: 2
  })
  const app = yield* server.mint("app")
  const { port } = new URL(server.url)
  /** Sends bytes, and gives all that comes back until the server closes the connection or has answered. */
  const send = (bytes: string) =>
    Effect.callback<string>((resume) => {
      let text = ""
      const socket = connect(Number(port), "127.0.0.1", () => socket.write(bytes))
      socket.on("data", (chunk) => {
        text += chunk.toString("latin1")
        const [head = "", body = ""] = text.split("\r\n\r\n", 2)
        const length = Number(/^content-length: (\d+)/im.exec(head)?.[1] ?? Number.NaN)
        if (body.length >= length) socket.destroy()
      })
      socket.on("close", () => resume(Effect.succeed(text)))
      socket.on("error", () => {})
      return Effect.sync(() => socket.destroy())
    })
  /** One request with nothing added to it; gives the status and the body. */
  const ask = (line: string, ...headers: ReadonlyArray<string>) =>
    Effect.map(send([line, ...headers, "", ""].join("\r\n")), (answer) => {
      const [head = "", body = ""] = answer.split("\r\n\r\n", 2)
      assert.match(head, /^x-request-id: [A-Za-z0-9._-]{1,128}$/im, line)
      return [Number(head.split(" ")[1]), body] as const
    })
  return { ...server, app, send, ask, bearer: `authorization: Bearer ${app.token}` }
})
class Shared extends Context.Service<Shared, Effect.Success<typeof shared>>()("test/Shared") {
  static readonly layer = Layer.effect(Shared, shared)
}

const host = "host: localhost"
const misdirected = [421, '{"detail":"Misdirected Request"}'] as const
const notFound = [404, '{"detail":"Not Found"}'] as const
const missing = [401, '{"detail":"missing bearer token"}'] as const

it.layer(Shared.layer, { excludeTestServices: true })("access", (it) => {
  it.effect(
    "DNS rebinding: a name that is not the server's own is refused on every path and method, good token or not",
    () =>
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
        assert.deepStrictEqual(yield* ask("GET /healthz HTTP/1.0"), misdirected)
        // A switch of protocols is no way around it.
        const upgrade = ["connection: Upgrade", "upgrade: websocket", "sec-websocket-key: dGhlIHNhbXBsZSBub25jZQ=="]
        assert.deepStrictEqual(
          yield* ask("GET /sessions HTTP/1.1", "host: evil.example", bearer, ...upgrade),
          misdirected
        )
        assert.deepStrictEqual(yield* ask("GET /sessions HTTP/1.1", host, ...upgrade), missing)
      })
  )

  it.effect("a page of another origin gets no leave to call, and none to read", () =>
    Effect.gen(function* () {
      const { app, ask, url } = yield* Shared
      const origin = "origin: https://evil.example"
      for (const path of ["/sessions", "/run", "/files", "/healthz", "/admin/tokens"]) {
        const preflight = yield* call(url + path, "OPTIONS", {
          headers: { origin: "https://evil.example", "access-control-request-method": "POST" }
        })
        assert.strictEqual(preflight.status, 405, path)
        const answers = [preflight, yield* app.request("GET", path, { headers: { origin: "https://evil.example" } })]
        for (const { headers } of answers) {
          assert.deepStrictEqual(
            [...headers.keys()].filter((name) => name.startsWith("access-control-")),
            [],
            path
          )
        }
      }
      // What a page can send without leave carries no bearer.
      const simple = ["content-type: text/plain", "content-length: 2"]
      assert.deepStrictEqual(yield* ask("POST /run HTTP/1.1", host, origin, ...simple), missing)
    })
  )

  it.effect("a token counts in the Authorization header alone", () =>
    Effect.gen(function* () {
      const { app, ask, bearer } = yield* Shared
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
      const two = yield* ask("GET /sessions HTTP/1.1", host, "authorization: Bearer cf_other", bearer)
      assert.deepStrictEqual(two, [401, '{"detail":"invalid token"}'])
    })
  )

  it.effect("a path is itself only", () =>
    Effect.gen(function* () {
      const { ask, bearer } = yield* Shared
      for (const path of [
        "//sessions",
        "/sessions//",
        "/./sessions",
        "/admin/../sessions",
        "/healthz/../sessions",
        "/Sessions",
        "/SESSIONS",
        "/sessions%2f",
        "/sessions/%2e%2e/healthz",
        "/..%2fsessions",
        "/sessions/%zz",
        "/sessions\\x",
        "/metrics/",
        "/%6detrics%2f",
        `/sessions/${"a".repeat(5_000)}`
      ]) {
        assert.deepStrictEqual(yield* ask(`GET ${path} HTTP/1.1`, host, bearer), notFound, path)
      }
      for (const path of [
        "/sessions/",
        "/sessions/%2e%2e%2fhealthz",
        "/sessions/..",
        "/sessions/%00",
        "/sessions/__proto__"
      ]) {
        const [status] = yield* ask(`GET ${path} HTTP/1.1`, host, bearer)
        assert.strictEqual(status, 404, path)
      }
      // Another spelling of a path is not another door.
      for (const path of ["/%61dmin/tokens", "/admin/tokens;a=b", "/%6detrics"]) {
        const answer = yield* ask(`GET ${path} HTTP/1.1`, host, bearer)
        assert.deepStrictEqual(answer, [401, '{"detail":"invalid token"}'], path)
      }
    })
  )

  it.effect("a request id that is none is not repeated, and nothing of a request gets into a header", () =>
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

  it.effect("what is no request is refused by a sentence, and its connection closed", () =>
    Effect.gen(function* () {
      const { ask, bearer, send } = yield* Shared
      const no = (answer: string) => [answer.split("\r\n", 1)[0], answer.split("\r\n\r\n")[1]]
      const bad = ["HTTP/1.1 400 Bad Request", '{"detail":"this is no HTTP request"}']
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

  it.effect("a slow client is cut: at its headers, at its body, and when it says nothing; a long turn is not", () =>
    Effect.gen(function* () {
      const { app, send, bearer } = yield* Shared
      const { id } = yield* app.open
      const long = yield* Effect.forkChild(app.turn(id, "/chunks 12 100"))
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
      assert.strictEqual((yield* Fiber.join(long)).status, 200)
      yield* app.request("DELETE", `/sessions/${id}`)
    })
  )

  it.effect("a nesting bomb is refused before anything parses it", () =>
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
        // Others are served meanwhile: none of this takes seconds.
        yield* Effect.timeout(call(`${url}/healthz`, "GET"), "1 second")
        const answer = yield* Effect.timeout(Fiber.join(bomb), "3 seconds")
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

  it.effect("the keys of prototypes are keys like any other", () =>
    Effect.gen(function* () {
      const { app } = yield* Shared
      const meta = '{"__proto__":{"polluted":1},"constructor":{"prototype":{"polluted":1}},"toString":"x"}'
      const created = yield* app.request("POST", "/sessions", { body: `{"agent":"demo","meta":${meta}}` })
      const id = /"session_id":"([^"]+)"/.exec(created.text)?.[1]
      const state = yield* app.request("GET", `/sessions/${id}`)
      assert.include(state.text, `"meta":${meta}`)
      assert.notProperty({}, "polluted")
      const inherited = yield* app.request("POST", "/sessions", { body: '{"__proto__":{"agent":"demo"}}' })
      assert.strictEqual(inherited.status, 422)
      for (const agent of ["__proto__", "constructor", "toString"]) {
        assert.strictEqual((yield* app.request("POST", "/sessions", { body: { agent } })).status, 422, agent)
      }
      yield* app.request("DELETE", `/sessions/${id}`)
    })
  )

  it.effect("an app has its caps: open sessions, running turns, turns that wait for one session", () =>
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

      yield* Fiber.interruptAll([...running, ...waiting])
      yield* app
        .turn(three.id, "/echo yes")
        .pipe(Effect.repeat({ until: ({ status }) => status === 200, schedule: Schedule.spaced(20) }))
      yield* app.request("DELETE", `/sessions/${one.id}`)
      assert.strictEqual((yield* opening).status, 200)
    })
  )
})

describe("a server with named origins", () => {
  it.live("gives leave to those, and to no other", () =>
    Effect.gen(function* () {
      const { mint, url } = yield* serve({ corsOrigins: ["https://app.example", "https://b.example"] })
      const app = yield* mint("app")
      const preflight = (origin: string, more: Readonly<Record<string, string>> = {}) =>
        call(`${url}/sessions`, "OPTIONS", {
          headers: { origin, "access-control-request-method": "POST", ...more }
        })
      const allowed = yield* preflight("https://app.example", { "access-control-request-headers": "authorization" })
      assert.strictEqual(allowed.headers.get("access-control-allow-origin"), "https://app.example")
      assert.include(allowed.headers.get("access-control-allow-headers") ?? "", "authorization")
      assert.isNull(allowed.headers.get("access-control-allow-credentials"))
      const read = yield* app.request("GET", "/sessions", { headers: { origin: "https://b.example" } })
      assert.strictEqual(read.headers.get("access-control-allow-origin"), "https://b.example")
      assert.include(read.headers.get("vary") ?? "", "Origin")
      for (const origin of ["https://evil.example", "null", "https://app.example.evil", "http://app.example", "*"]) {
        assert.isNull((yield* preflight(origin)).headers.get("access-control-allow-origin"), origin)
        const other = yield* app.request("GET", "/sessions", { headers: { origin } })
        assert.isNull(other.headers.get("access-control-allow-origin"), origin)
      }
    }).pipe(Effect.scoped)
  )
})
