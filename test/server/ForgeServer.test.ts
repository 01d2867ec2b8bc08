import { assert, it } from "@effect/vitest"
import { Context, Effect, Layer } from "effect"
import { call, serve } from "./Support.ts"

/** A server and an app, shared by tests that leave nothing open. */
const shared = Effect.gen(function* () {
  const server = yield* serve()
  const app = yield* server.mint("app")
  return { ...server, app, session: yield* app.open }
})
class Shared extends Context.Service<Shared, Effect.Success<typeof shared>>()("test/Shared") {
  static readonly layer = Layer.effect(Shared, shared)
}

const jsonType = "application/json"
const nope = { detail: "session not found" }

it.layer(Shared.layer, { excludeTestServices: true })("ForgeServer, byte for byte", (it) => {
  it.effect("health reports what the server has", () =>
    Effect.gen(function* () {
      const { url } = yield* Shared
      const answer = yield* call(`${url}/healthz`, "GET")
      assert.strictEqual(answer.status, 200)
      assert.strictEqual(answer.headers.get("content-type"), jsonType)
      assert.strictEqual(
        answer.text,
        '{"ok":true,"claude_present":false,"claude_version":null,"acpx_present":true,"acpx_version":"0.1.0","open_sessions":1,"features":["agents","cancel","events","files","idempotency","linger","pages","ready","request_id","run_stream","session_options","stream","usage"]}'
      )
    })
  )

  it.effect("a missing or wrong bearer token is 401 with a challenge, before anything else is validated", () =>
    Effect.gen(function* () {
      const { app, session, url } = yield* Shared
      const path = `${url}/sessions/${session.id}/turn`
      for (const headers of [{}, { authorization: "Basic YTpi" }, { authorization: "Bearer " }]) {
        const answer = yield* call(path, "POST", { headers, body: "{" })
        assert.strictEqual(answer.status, 401)
        assert.strictEqual(answer.text, '{"detail":"missing bearer token"}')
        assert.strictEqual(answer.headers.get("www-authenticate"), "Bearer")
      }
      const wrong = yield* call(path, "POST", { headers: { authorization: "Bearer cf_x" }, body: "{" })
      assert.strictEqual(wrong.status, 401)
      assert.strictEqual(wrong.text, '{"detail":"invalid token"}')
      const inQuery = yield* call(`${url}/sessions?token=${app.token}&access_token=${app.token}`, "GET")
      assert.strictEqual(inQuery.status, 401)
    })
  )

  it.effect("an unknown path is 404, and a method that a path does not have is 405", () =>
    Effect.gen(function* () {
      const { app, session } = yield* Shared
      for (const path of ["/", "/nope", "/HEALTHZ", "//sessions", `/sessions/${session.id}/`]) {
        const answer = yield* app.request("GET", path)
        assert.strictEqual(answer.status, 404, path)
        assert.strictEqual(answer.text, '{"detail":"Not Found"}', path)
      }
      for (const [method, path, allow] of [
        ["POST", "/healthz", "GET, HEAD"],
        ["PUT", "/sessions", "POST, GET, HEAD"],
        ["PATCH", `/sessions/${session.id}`, "GET, HEAD, DELETE"],
        ["GET", `/sessions/${session.id}/turn`, "POST"]
      ] as const) {
        const answer = yield* app.request(method, path)
        assert.strictEqual(answer.status, 405, path)
        assert.strictEqual(answer.text, '{"detail":"Method Not Allowed"}', path)
        assert.strictEqual(answer.headers.get("allow"), allow)
      }
    })
  )

  it.effect("an unknown session is 404 before the request is validated", () =>
    Effect.gen(function* () {
      const { app } = yield* Shared
      for (const id of ["nope", "a".repeat(128), "a.b", "~"]) {
        for (const [method, path] of [
          ["GET", `/sessions/${id}`],
          ["DELETE", `/sessions/${id}`],
          ["POST", `/sessions/${id}/turn`]
        ] as const) {
          const answer = yield* app.request(method, path, method === "POST" ? { body: "{" } : {})
          assert.strictEqual(answer.status, 404)
          assert.strictEqual(answer.text, JSON.stringify(nope))
        }
      }
    })
  )

  it.effect("the session of another app looks like an unknown one", () =>
    Effect.gen(function* () {
      const { app, mint, session } = yield* Shared
      const other = yield* mint("other")
      const unknown = yield* other.request("GET", "/sessions/nope")
      for (const [method, path] of [
        ["GET", `/sessions/${session.id}`],
        ["DELETE", `/sessions/${session.id}`],
        ["POST", `/sessions/${session.id}/turn`]
      ] as const) {
        const answer = yield* other.request(method, path, method === "POST" ? { body: { prompt: "hello" } } : {})
        assert.deepStrictEqual([answer.status, answer.text], [unknown.status, unknown.text])
      }
      assert.strictEqual((yield* other.request("GET", "/sessions")).text, '{"ok":true,"sessions":[],"count":0}')
      const state = yield* app.state(session.id)
      assert.isTrue(state.live)
    })
  )

  it.effect("a boolean of the query may be spelled in several ways", () =>
    Effect.gen(function* () {
      const { mint } = yield* Shared
      const app = yield* mint("words")
      const { id } = yield* app.open
      yield* app.request("DELETE", `/sessions/${id}`)
      for (const [count, words] of [
        [1, ["true", "True", "TRUE", "1", "yes", "on", "t", "y"]],
        [0, ["false", "False", "0", "no", "No", "off", "f", "n"]]
      ] as const) {
        for (const word of words) {
          const { text } = yield* app.request("GET", `/sessions?include_closed=${word}`)
          assert.include(text, `"count":${count}`, word)
        }
      }
    })
  )

  it.effect("the issues of a request are a list, without the rejected values", () =>
    Effect.gen(function* () {
      const { app, session } = yield* Shared
      const turn = `/sessions/${session.id}/turn`
      const deep = `${"[".repeat(100_000)}${"]".repeat(100_000)}`
      for (const [path, body, detail] of [
        [turn, "{}", '{"loc":["body","prompt"],"msg":"is missing","type":"missing"}'],
        [turn, "", null],
        [turn, "{", '{"loc":["body"],"msg":"must be a valid JSON body","type":"value_error"}'],
        [turn, '{"prompt":" \\n"}', '{"loc":["body","prompt"],"msg":"must not be empty","type":"value_error"}'],
        [turn, '{"prompt":"p","timeout_secs":true}', null],
        [turn, '{"prompt":"p","timeout_secs":1.5}', null],
        [turn, '{"prompt":"p","files":["ff_a/../b"]}', null],
        [
          "/sessions",
          '{"agent":"nosuch"}',
          '{"loc":["body","agent"],"msg":"no agent of this name: the server has demo","type":"value_error"}'
        ],
        ["/sessions", '{"agent":"no such"}', null],
        ["/sessions", '{"agent":null}', null],
        ["/sessions", '{"agent":"demo","model":"-x"}', null],
        ["/sessions", '{"agent":"demo","model":"unheard-of"}', null],
        ["/sessions", '{"agent":"demo","meta":[1]}', null],
        ["/sessions", `{"agent":"demo","meta":{"a":${"[".repeat(16)}${"]".repeat(16)}}}`, null],
        ["/sessions", `{"agent":"demo","meta":{"a":${deep}}}`, null],
        ["/sessions", `{"agent":"demo","meta":{"a":"${"é".repeat(8192)}"}}`, null]
      ] as const) {
        const answer = yield* app.request("POST", path, { body })
        assert.strictEqual(answer.status, 422, body.slice(0, 80))
        assert.match(answer.text, /^\{"detail":\[\{"loc":\["body".*\],"msg":".+","type":"(missing|value_error)"\}\]\}$/)
        assert.isBelow(answer.text.length, 400)
        if (detail !== null) assert.strictEqual(answer.text, `{"detail":[${detail}]}`)
      }
      for (const word of ["maybe", "", "2", "truely", "true&include_closed=false"]) {
        const query = yield* app.request("GET", `/sessions?include_closed=${word}`)
        assert.strictEqual(query.status, 422, word)
        assert.include(query.text, '"loc":["query","include_closed"]')
      }
      const form = yield* app.request("POST", turn, { body: "prompt=x", headers: { "content-type": "text/plain" } })
      assert.strictEqual(form.status, 422)
      assert.strictEqual((yield* app.state(session.id)).turn_count, 0)
    })
  )

  it.effect("an unknown file token is 404", () =>
    Effect.gen(function* () {
      const { app, session } = yield* Shared
      const answer = yield* app.request("POST", `/sessions/${session.id}/turn`, {
        body: { prompt: "read", files: ["ff_unknown"] }
      })
      assert.deepStrictEqual([answer.status, answer.text], [404, '{"detail":"file not found"}'])
    })
  )

  it.effect("a body over the limit is 413, with or without a Content-Length", () =>
    Effect.gen(function* () {
      const { app, session } = yield* Shared
      const large = `{"prompt":"${"x".repeat(8 * 1024 * 1024)}"}`
      const announced = yield* app.request("POST", `/sessions/${session.id}/turn`, { body: large })
      assert.deepStrictEqual([announced.status, announced.text], [413, '{"detail":"request too large"}'])
      const chunked = yield* app.request("POST", `/sessions/${session.id}/turn`, {
        body: large,
        headers: { "transfer-encoding": "chunked" }
      })
      assert.deepStrictEqual([chunked.status, chunked.text], [413, '{"detail":"request too large"}'])
    })
  )

  it.effect("a foreign host name is 421, whatever the path", () =>
    Effect.gen(function* () {
      const { app } = yield* Shared
      for (const path of ["/healthz", "/sessions", "/nope"]) {
        const answer = yield* app.request("GET", path, { headers: { host: "rebound.example" } })
        assert.deepStrictEqual([answer.status, answer.text], [421, '{"detail":"Misdirected Request"}'])
      }
    })
  )

  it.effect("every response has a request id: the client's, or a new one", () =>
    Effect.gen(function* () {
      const { app, url } = yield* Shared
      const idOf = (path: string, id?: string) =>
        Effect.map(
          app.request("GET", path, { headers: id === undefined ? {} : { "x-request-id": id } }),
          ({ headers }) => headers.get("x-request-id") ?? ""
        )
      for (const path of ["/healthz", "/sessions", "/nope", "/sessions/nope"]) {
        assert.strictEqual(yield* idOf(path, "a.b-C_1"), "a.b-C_1", path)
        assert.match(yield* idOf(path), /^[0-9a-f-]{36}$/, path)
        assert.match(yield* idOf(path, "not one"), /^[0-9a-f-]{36}$/, path)
      }
      const misdirected = yield* call(`${url}/healthz`, "POST", { headers: { "x-request-id": "mine" } })
      assert.strictEqual(misdirected.headers.get("x-request-id"), "mine")
    })
  )
})
