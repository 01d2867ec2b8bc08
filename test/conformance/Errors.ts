/**
 * WIRE.md, "Errors".
 */
import { Effect } from "effect"
import { strict as assert } from "node:assert"
import type { Group } from "./Case.ts"
import * as Expect from "./Expect.ts"
import { App, Server } from "./Server.ts"

export const Errors: Group = {
  name: "Errors",
  cases: [
    {
      title: "401 bearer missing or unknown",
      test: Effect.gen(function* () {
        const { call } = yield* Server
        const app = yield* App
        for (const authorization of [
          "",
          "Bearer ",
          "Bearer cf_unknown",
          `Basic ${app.token}`,
          app.token,
          `Bearer ${app.token}x`
        ]) {
          Expect.refused(yield* call("GET", "/sessions", { headers: { authorization } }), 401)
        }
      })
    },
    {
      title: "401 `missing bearer token` or `invalid token`, with WWW-Authenticate: Bearer",
      needs: ["ours"],
      test: Effect.gen(function* () {
        const { call } = yield* Server
        const missing = yield* call("GET", "/sessions")
        Expect.refused(missing, 401, "missing bearer token")
        const invalid = yield* call("GET", "/sessions", { headers: { authorization: "Bearer cf_unknown" } })
        Expect.refused(invalid, 401, "invalid token")
        for (const { headers } of [missing, invalid]) assert.equal(headers["www-authenticate"], "Bearer")
      })
    },
    {
      title: "401 is decided before 422 and before 404 of a session",
      test: Effect.gen(function* () {
        const { call } = yield* Server
        const headers = { authorization: "Bearer cf_unknown" }
        Expect.refused(yield* call("POST", "/run", { headers, body: "{" }), 401)
        Expect.refused(yield* call("GET", "/sessions/unknown", { headers }), 401)
      })
    },
    {
      title: "404 `Not Found` for a path that is none",
      needs: ["ours"],
      test: Effect.gen(function* () {
        const app = yield* App
        for (const path of ["/", "/nope", "/run/", "/Sessions", "/sessions/x/y", "/admin", "/healthz/x", "//run"]) {
          Expect.refused(yield* app.request("GET", path), 404, "Not Found")
        }
      })
    },
    {
      title: "405 `Method Not Allowed`",
      needs: ["ours"],
      test: Effect.gen(function* () {
        const app = yield* App
        for (const [method, path] of [
          ["GET", "/run"],
          ["PUT", "/sessions"],
          ["PATCH", "/sessions/x"],
          ["GET", "/sessions/x/turn"],
          ["POST", "/healthz"],
          ["DELETE", "/files"],
          ["PUT", "/admin/tokens"]
        ] as const) {
          Expect.refused(yield* app.request(method, path), 405, "Method Not Allowed")
        }
      })
    },
    {
      title: "410 `session is closed`",
      needs: ["ours"],
      test: Effect.gen(function* () {
        const app = yield* App
        const id = yield* app.open()
        yield* app.request("DELETE", `/sessions/${id}`)
        Expect.refused(yield* app.turn(id, "hello"), 410, "session is closed")
      })
    },
    {
      title: "413 body too large: `request too large`, over 8 MiB of JSON",
      needs: ["ours"],
      test: Effect.gen(function* () {
        const app = yield* App
        const body = JSON.stringify({ prompt: "x".repeat(8 * 1024 * 1024) })
        Expect.refused(yield* app.request("POST", "/run", { body }), 413, "request too large")
      })
    },
    {
      title: "422 validation: detail is a LIST of {loc, msg, type}, for a body that is no JSON too",
      test: Effect.gen(function* () {
        const { admin, has } = yield* Server
        const app = yield* App
        for (const body of ["", "{", "[]", "null", '"text"', "{'prompt': 1}", '{"prompt": "x"']) {
          for (const path of ["/run", "/sessions"]) {
            Expect.invalid(
              yield* app.request("POST", path, { body, headers: { "content-type": "application/json" } }),
              ["body"]
            )
          }
        }
        if (has("admin")) {
          Expect.invalid(yield* admin("POST", "/admin/tokens", { body: "{" }), ["body"])
        }
      })
    },
    {
      title: "422 names everything that is wrong",
      test: Effect.gen(function* () {
        const app = yield* App
        const body = { prompt: "", model: "", timeout_secs: true }
        Expect.invalid(
          yield* app.request("POST", "/run", { body }),
          ["body", "prompt"],
          ["body", "model"],
          ["body", "timeout_secs"]
        )
      })
    },
    {
      title: "429 `too many requests`, with when to come again, for more open sessions than one app may have",
      needs: ["small", "admin"],
      alone: true,
      test: Effect.gen(function* () {
        const { agent, newApp } = yield* Server
        const [app, other] = [yield* App, yield* newApp]
        const open = app.request("POST", "/sessions", { body: { agent } })
        const answers = yield* Effect.all([open, open, open, open, open, open], { concurrency: 3 })
        const refused = answers.filter(({ status }) => status !== 200)
        assert.equal(refused.length, 1)
        for (const answer of refused) {
          Expect.refused(answer, 429, "too many requests")
          assert.match(answer.headers["retry-after"] ?? "", /^\d+$/)
        }
        yield* other.open()
      })
    },
    {
      title: "the client reads a 401 as AuthError",
      test: Effect.gen(function* () {
        const { clientOf } = yield* Server
        const client = yield* clientOf("cf_unknown")
        const failed = yield* Effect.flip(client.sessions())
        assert.deepEqual([failed._tag, "status" in failed ? failed.status : 0], ["AuthError", 401])
      })
    }
  ]
}
