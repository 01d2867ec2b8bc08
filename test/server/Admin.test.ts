import * as NodeFileSystem from "@effect/platform-node/NodeFileSystem"
import { assert, describe, it } from "@effect/vitest"
import { Context, Effect, Fiber, FileSystem, Layer, Redacted, Schema } from "effect"
import { readdirSync, readFileSync } from "node:fs"
import { eventually } from "../support/Eventually.ts"
import * as Form from "../support/Form.ts"
import { appOf, call, type CallOptions, serve } from "./Support.ts"

const adminToken = "the-admin-token-of-this-test-0123456789"

const Minted = Schema.fromJsonString(Schema.Struct({ name: Schema.String, token: Schema.String }))

const make = Effect.gen(function* () {
  const fs = yield* FileSystem.FileSystem
  const data = yield* fs.makeTempDirectoryScoped()
  const server = yield* serve({
    data,
    adminToken: Redacted.make(adminToken),
    allowedCidrs: ["10.0.0.0/8", "192.168.0.0/16"],
    trustedProxies: ["127.0.0.0/8"]
  })
  const admin = (method: string, path: string, options: CallOptions = {}) =>
    call(server.url + path, method, {
      ...options,
      headers: { authorization: `Bearer ${adminToken}`, ...options.headers }
    })
  const mint = Effect.fnUntraced(function* (body: {
    readonly name: string
    readonly ip_cidrs?: ReadonlyArray<string>
  }) {
    const { text } = yield* admin("POST", "/admin/tokens", { body })
    const { token } = yield* Effect.orDie(Schema.decodeEffect(Minted)(text))
    return appOf(server.url, token)
  })
  return { data, url: server.url, admin, mint }
}).pipe(Effect.provide(NodeFileSystem.layer))
class Shared extends Context.Service<Shared, Effect.Success<typeof make>>()("test/Shared") {
  static readonly layer = Layer.effect(Shared, make)
}

it.layer(Shared.layer, { excludeTestServices: true })("admin", (it) => {
  it.effect("a token is minted, byte for byte, and never shown again", () =>
    Effect.gen(function* () {
      const { admin } = yield* Shared
      const plain = yield* admin("POST", "/admin/tokens", { body: '{"name":"billing"}' })
      assert.strictEqual(plain.status, 200)
      assert.match(plain.text, /^\{"name":"billing","token":"cf_[A-Za-z0-9_-]{43}","ip_cidrs":null\}$/)
      const body = '{"ip_cidrs":["10.0.0.0/8","fd00::/8","::ffff:10.0.0.0/104"],"more":1,"name":"a_b-1"}'
      const bound = yield* admin("POST", "/admin/tokens", { body })
      assert.match(
        bound.text,
        /^\{"name":"a_b-1","token":"cf_[^"]+","ip_cidrs":\["10.0.0.0\/8","fd00::\/8","::ffff:10.0.0.0\/104"\]\}$/
      )
      const none = yield* admin("POST", "/admin/tokens", { body: '{"name":"none","ip_cidrs":null}' })
      assert.match(none.text, /"ip_cidrs":null\}$/)

      const list = yield* admin("GET", "/admin/tokens")
      assert.match(
        list.text,
        /^\{"ok":true,"tokens":\[\{"name":"a_b-1","ip_cidrs":\["10[^\]]+\],"created_at":\d{10}\},\{"name":"billing","ip_cidrs":null,"created_at":\d{10}\}/
      )
      assert.notInclude(list.text, "cf_")

      const again = yield* admin("POST", "/admin/tokens", { body: '{"name":"billing"}' })
      assert.deepStrictEqual([again.status, again.text], [409, '{"detail":"token exists"}'])
      for (const name of ["billing", "a_b-1", "none"]) {
        const revoked = yield* admin("DELETE", `/admin/tokens/${name}`)
        assert.deepStrictEqual([revoked.status, revoked.text], [200, '{"ok":true}'])
      }
      for (const name of ["billing", "never-there", "a.b", "A", "~"]) {
        const unknown = yield* admin("DELETE", `/admin/tokens/${name}`)
        assert.deepStrictEqual([unknown.status, unknown.text], [404, '{"detail":"token not found"}'], name)
      }
    })
  )

  it.effect("the admin token is refused on app endpoints, and an app token on admin endpoints", () =>
    Effect.gen(function* () {
      const { admin, mint, url } = yield* Shared
      const app = yield* mint({ name: "app" })
      const invalid = [401, '{"detail":"invalid token"}', "Bearer"]
      const of = (answer: { readonly status: number; readonly text: string; readonly headers: Headers }) => [
        answer.status,
        answer.text,
        answer.headers.get("www-authenticate")
      ]
      for (const [method, path] of [
        ["GET", "/sessions"],
        ["POST", "/sessions"],
        ["POST", "/run"],
        ["POST", "/files"],
        ["GET", "/sessions/x"]
      ] as const) {
        assert.deepStrictEqual(of(yield* admin(method, path)), invalid, path)
      }
      const close = `${adminToken.slice(0, -1)}x`
      for (const [method, path] of [
        ["GET", "/admin/tokens"],
        ["POST", "/admin/tokens"],
        ["DELETE", "/admin/tokens/app"],
        ["GET", "/metrics"]
      ] as const) {
        assert.deepStrictEqual(of(yield* app.request(method, path)), invalid, path)
        for (const token of [close, `${adminToken}x`, adminToken.toUpperCase()]) {
          const answer = yield* call(url + path, method, { headers: { authorization: `Bearer ${token}` } })
          assert.deepStrictEqual(of(answer), invalid, path)
        }
        const missing = yield* call(`${url}${path}?token=${adminToken}&admin_token=${adminToken}`, method)
        assert.deepStrictEqual(of(missing), [401, '{"detail":"missing bearer token"}', "Bearer"], path)
        const cookie = yield* call(url + path, method, { headers: { cookie: `token=${adminToken}` } })
        assert.strictEqual(cookie.status, 401)
      }
      assert.strictEqual((yield* app.request("GET", "/sessions")).status, 200)
      yield* admin("DELETE", "/admin/tokens/app")
    })
  )

  it.effect("each malformed network is named, and a token without any network is refused", () =>
    Effect.gen(function* () {
      const { admin } = yield* Shared
      const issue = (path: string, msg: string) =>
        `{"loc":["body","ip_cidrs"${path}],"msg":"${msg}","type":"value_error"}`
      const rule = "must be a network, such as 10.0.0.0/8 or fd00::/8"
      const none = "must name a network, or be null for a token that is good from anywhere"
      for (const [cidrs, ...issues] of [
        [[], issue("", none)],
        [["banana"], issue(",0", rule)],
        [
          ["10.0.0.0/8", "10.0.0.0/33", "fd00::/8", "::/129", "10.0.0.1"],
          issue(",1", rule),
          issue(",3", rule),
          issue(",4", rule)
        ]
      ] as const) {
        const answer = yield* admin("POST", "/admin/tokens", { body: { name: "never", ip_cidrs: cidrs } })
        assert.deepStrictEqual([answer.status, answer.text], [422, `{"detail":[${issues.join()}]}`])
      }
      assert.notInclude((yield* admin("GET", "/admin/tokens")).text, "never")
    })
  )

  it.effect("a token with networks is accepted from those only, also on this machine", () =>
    Effect.gen(function* () {
      const { admin, mint } = yield* Shared
      const elsewhere = yield* mint({ name: "elsewhere", ip_cidrs: ["10.0.0.0/8", "::ffff:192.168.0.0/112"] })
      const refused = [403, '{"detail":"address not allowed"}']
      const from = (address: string | undefined) =>
        Effect.map(
          elsewhere.request("GET", "/sessions", {
            headers: address === undefined ? {} : { "x-forwarded-for": address }
          }),
          ({ status, text }) => [status, text]
        )
      const none = [200, '{"ok":true,"sessions":[],"count":0}']
      for (const address of [
        "10.1.2.3",
        "192.168.3.4",
        "::ffff:10.1.2.3",
        "nonsense, 10.1.2.3",
        "10.1.2.3, 127.0.0.1"
      ]) {
        assert.deepStrictEqual(yield* from(address), none, address)
      }
      // The last address that is not a proxy is the client; the client may have forged those before.
      for (const address of [
        undefined,
        "192.169.0.1",
        "192.168.3.4, 192.169.0.1",
        "10.1.2.3, nonsense",
        "nonsense",
        ""
      ]) {
        assert.deepStrictEqual(yield* from(address), refused, address)
      }
      const here = yield* mint({ name: "here", ip_cidrs: ["127.0.0.0/8"] })
      assert.strictEqual((yield* here.request("GET", "/sessions")).status, 200)
      for (const name of ["elsewhere", "here"]) yield* admin("DELETE", `/admin/tokens/${name}`)
    })
  )

  it.effect("revoking a token ends everything that its app has, and a new token with the name inherits nothing", () =>
    Effect.gen(function* () {
      const { admin, data, mint } = yield* Shared
      const uploads = Effect.sync(() => readdirSync(`${data}/uploads`))
      const app = yield* mint({ name: "doomed" })
      const other = yield* mint({ name: "other" })
      const kept = yield* other.open
      const { id } = yield* app.open
      const uploaded = yield* app.request("POST", "/files", Form.of(Form.file("secret", "a.txt")))
      const file = /"file_token":"(ff_[^"]+)"/.exec(uploaded.text)?.[1] ?? ""
      assert.isNotEmpty(file)
      assert.lengthOf(yield* uploads, 1)
      const turn = yield* Effect.forkChild(app.turn(id, "/wait"))
      yield* app.turns(id, 1)
      yield* app.request("POST", "/run", {
        body: { prompt: "/echo canary-answer" },
        headers: { "idempotency-key": "k" }
      })
      const isKept = (text: string) =>
        ["ledger.db", "ledger.db-wal"].some((file) => readFileSync(`${data}/${file}`).includes(text))
      assert.isTrue(isKept("canary-answer"))

      assert.strictEqual((yield* admin("DELETE", "/admin/tokens/doomed")).status, 200)
      assert.lengthOf(yield* uploads, 0)
      assert.isFalse(isKept("canary-answer"))
      const cut = yield* Fiber.join(turn)
      assert.deepStrictEqual([cut.status, cut.text], [410, '{"detail":"session is closed"}'])
      const after = yield* app.request("GET", "/sessions")
      assert.deepStrictEqual([after.status, after.text], [401, '{"detail":"invalid token"}'])

      const heir = yield* mint({ name: "doomed" })
      assert.strictEqual((yield* heir.request("GET", "/sessions")).text, '{"ok":true,"sessions":[],"count":0}')
      assert.strictEqual((yield* heir.request("GET", `/sessions/${id}`)).status, 404)
      const own = yield* heir.open
      const read = yield* heir.request("POST", `/sessions/${own.id}/turn`, { body: { prompt: "read", files: [file] } })
      assert.deepStrictEqual([read.status, read.text], [404, '{"detail":"file not found"}'])
      assert.isTrue((yield* other.state(kept.id)).live)
      assert.include((yield* admin("GET", "/admin/tokens")).text, '"name":"doomed"')
    })
  )

  it.effect("revoking a token ends a session that is being opened", () =>
    Effect.gen(function* () {
      const { admin, mint, url } = yield* Shared
      const app = yield* mint({ name: "opening" })
      const open = Effect.map(call(`${url}/healthz`, "GET"), ({ text }) => /"open_sessions":(\d+)/.exec(text)?.[1])
      const before = yield* open
      const opening = yield* Effect.forkChild(app.request("POST", "/sessions", { body: { agent: "demo" } }))
      yield* open.pipe(eventually("another open session", (now) => now !== before))
      yield* admin("DELETE", "/admin/tokens/opening")
      const answer = yield* Fiber.join(opening)
      assert.include([200, 401], answer.status)
      assert.strictEqual(yield* open, before)
    })
  )

  it.effect("metrics are in Prometheus text format, without ids or secrets", () =>
    Effect.gen(function* () {
      const { admin, mint } = yield* Shared
      const app = yield* mint({ name: "canary-app" })
      const { id } = yield* app.open
      yield* app.turn(id, "/echo canary-text")
      yield* app.request("GET", `/${app.token}/canary-path`)
      const metrics = yield* admin("GET", "/metrics")
      assert.strictEqual(metrics.headers.get("content-type"), "text/plain; version=0.0.4; charset=utf-8")
      assert.match(metrics.text, /^clawdforge_open_sessions \d+$/m)
      assert.match(metrics.text, /^clawdforge_sessions\{state="asleep"\} \d+$/m)
      assert.match(metrics.text, /^clawdforge_agent_processes \d+$/m)
      assert.match(
        metrics.text,
        /^clawdforge_http_requests_total\{method="POST",route="\/sessions\/:id\/turn",status="200"\} \d+$/m
      )
      assert.match(metrics.text, /^clawdforge_http_requests_total\{method="GET",route="other",status="404"\} \d+$/m)
      assert.match(metrics.text, /^clawdforge_sessions_swept_total\{what="soft_closed"\} 0$/m)
      for (const text of [id, app.token, adminToken, "canary"]) assert.notInclude(metrics.text, text)
    })
  )
})

describe("a server without an admin token", () => {
  it.live("refuses every admin request", () =>
    Effect.gen(function* () {
      const { url } = yield* serve()
      for (const token of ["", "undefined", "x"]) {
        const answer = yield* call(`${url}/admin/tokens`, "GET", { headers: { authorization: `Bearer ${token}` } })
        assert.strictEqual(answer.status, 401)
      }
    }).pipe(Effect.scoped)
  )

  it.live("does not start with a token that is too short or that no client can send", () =>
    Effect.gen(function* () {
      for (const [token, message] of [
        ["x".repeat(31), "the admin token must have at least 32 characters"],
        ["x y".repeat(20), "the admin token must be one word of ASCII characters: no client can send it otherwise"]
      ] as const) {
        const failed = yield* Effect.flip(Effect.scoped(serve({ adminToken: Redacted.make(token) })))
        assert.strictEqual(failed.message, message)
      }
    })
  )
})
