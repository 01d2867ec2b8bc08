/**
 * WIRE.md, "Endpoints" and "GET /healthz".
 */
import { Effect } from "effect"
import { strict as assert } from "node:assert"
import { subscribe, unsubscribe } from "node:diagnostics_channel"
import type { Group } from "./Case.ts"
import * as Expect from "./Expect.ts"
import { App, Server } from "./Server.ts"

/** Every endpoint of the table, with an unknown id or name. */
const endpoints = [
  ["POST", "/run", "app"],
  ["POST", "/files", "app"],
  ["POST", "/sessions", "app"],
  ["GET", "/sessions", "app"],
  ["GET", "/sessions?include_closed=true", "app"],
  ["GET", "/sessions/unknown", "app"],
  ["POST", "/sessions/unknown/turn", "app"],
  ["DELETE", "/sessions/unknown", "app"],
  ["POST", "/admin/tokens", "admin"],
  ["GET", "/admin/tokens", "admin"],
  ["DELETE", "/admin/tokens/unknown", "admin"]
] as const

export const Endpoints: Group = {
  name: "Endpoints",
  cases: [
    {
      title: "JSON bodies, snake_case, UTF-8: a letter of any alphabet comes back as it was sent",
      test: Effect.gen(function* () {
        const app = yield* App
        const meta = { ключ: "値 — é 🜚", nested: { "": [1.5, -2e3, true, null, ""] } }
        const id = yield* app.open({ meta })
        const answer = yield* app.request("GET", `/sessions/${id}`)
        Expect.answer(answer, 200, { meta })
      })
    },
    {
      title: "every endpoint but GET /healthz asks for a bearer: 401 without one",
      test: Effect.gen(function* () {
        const { call } = yield* Server
        for (const [method, path] of endpoints) Expect.refused(yield* call(method, path), 401)
      })
    },
    {
      title: "the admin token is 401 on app endpoints, an app token 401 on admin ones",
      needs: ["admin"],
      test: Effect.gen(function* () {
        const server = yield* Server
        const app = yield* App
        for (const [method, path, who] of endpoints) {
          const request = who === "app" ? server.admin : app.request
          Expect.refused(yield* request(method, path), 401)
        }
      })
    },
    {
      title: "GET /healthz needs no auth: 200 with ok, claude_present and claude_version",
      test: Effect.gen(function* () {
        const { call } = yield* Server
        Expect.answer(yield* call("GET", "/healthz"), 200, {
          ok: Expect.isBoolean,
          claude_present: Expect.isBoolean,
          claude_version: Expect.orNull(Expect.isString),
          // A server of v0.1 sends none of these.
          acpx_present: Expect.optional(Expect.isBoolean),
          acpx_version: Expect.optional(Expect.orNull(Expect.isString)),
          open_sessions: Expect.optional(Expect.isCount)
        })
      })
    },
    {
      title: "GET /healthz is 200 whatever bearer is shown",
      test: Effect.gen(function* () {
        const { call } = yield* Server
        for (const authorization of ["Bearer cf_unknown", "Bearer ", "Basic eA=="]) {
          Expect.answer(yield* call("GET", "/healthz", { headers: { authorization } }), 200, { ok: Expect.isBoolean })
        }
      })
    },
    {
      title: "v0.2 adds acpx_present: that sessions can be opened",
      needs: ["ours"],
      test: Effect.gen(function* () {
        const { call } = yield* Server
        Expect.answer(yield* call("GET", "/healthz"), 200, {
          acpx_present: true,
          acpx_version: Expect.orNull(Expect.isString)
        })
      })
    },
    {
      title: "versions are cached, a health check starts no process",
      needs: ["here", "ours"],
      alone: true,
      test: Effect.gen(function* () {
        const { call } = yield* Server
        const app = yield* App
        const started: Array<unknown> = []
        const note = (message: unknown) => started.push(message)
        yield* Effect.acquireRelease(
          Effect.sync(() => subscribe("child_process", note)),
          () => Effect.sync(() => unsubscribe("child_process", note))
        )
        for (let check = 0; check < 3; check++) Expect.answer(yield* call("GET", "/healthz"), 200)
        assert.equal(started.length, 0)
        yield* app.open()
        assert(started.length > 0, "the processes of a session were not counted either")
      })
    },
    {
      title: "open_sessions counts the sessions that are open",
      needs: ["admin", "ours"],
      alone: true,
      test: Effect.gen(function* () {
        const { call } = yield* Server
        const open = Effect.map(call("GET", "/healthz"), (answer) =>
          Number(Expect.answer(answer, 200, { open_sessions: Expect.isCount })["open_sessions"])
        )
        const app = yield* App
        const before = yield* open
        const id = yield* app.open()
        assert.equal(yield* open, before + 1)
        yield* app.request("DELETE", `/sessions/${id}`)
        assert.equal(yield* open, before)
      })
    },
    {
      title: "a server names what it adds in features, an array of strings",
      needs: ["ours"],
      test: Effect.gen(function* () {
        const { call } = yield* Server
        Expect.answer(yield* call("GET", "/healthz"), 200, {
          features: (features: unknown) => Expect.isArray(features) && features.every(Expect.isString)
        })
      })
    },
    {
      title: "the client reads a health check of this server, and its lists",
      test: Effect.gen(function* () {
        const app = yield* App
        const health = yield* app.client.health
        assert.equal(typeof health.claudePresent, "boolean")
        assert(Array.isArray(yield* app.client.sessions()))
      })
    }
  ]
}
