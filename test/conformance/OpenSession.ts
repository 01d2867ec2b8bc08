/**
 * WIRE.md, "Sessions": how one is opened.
 */
import { Effect } from "effect"
import { strict as assert } from "node:assert"
import type { Group } from "./Case.ts"
import * as Expect from "./Expect.ts"
import { App, Server } from "./Server.ts"

export const OpenSession: Group = {
  name: "POST /sessions",
  cases: [
    {
      title: "200 (not 201): ok: true, session_id of 16 characters or more, agent, created_at, cwd, model: string|null",
      test: Effect.gen(function* () {
        const { agent } = yield* Server
        const app = yield* App
        const answer = yield* app.request("POST", "/sessions", { body: { agent } })
        const { session_id: id } = Expect.answer(answer, 200, {
          ok: true,
          session_id: Expect.like(/^[A-Za-z0-9_-]{16,128}$/),
          agent,
          created_at: Expect.isTime,
          cwd: Expect.isString,
          model: Expect.orNull(Expect.isString)
        })
        yield* app.request("DELETE", `/sessions/${String(id)}`)
      })
    },
    {
      title: "agent: claude by default",
      needs: ["claude"],
      test: Effect.gen(function* () {
        const app = yield* App
        for (const body of [{}, { meta: null, model: null }]) {
          const { session_id: id } = Expect.answer(yield* app.request("POST", "/sessions", { body }), 200, {
            agent: "claude"
          })
          yield* app.request("DELETE", `/sessions/${String(id)}`)
        }
      })
    },
    {
      title: "agent: ^[a-zA-Z0-9_-]{1,64}$, else 422",
      test: Effect.gen(function* () {
        const app = yield* App
        for (const agent of ["", "a b", "../demo", "é", "a".repeat(65), "demo\n", 1, []]) {
          Expect.invalid(yield* app.request("POST", "/sessions", { body: { agent } }), ["body", "agent"])
        }
      })
    },
    {
      title: 'an agent that is not in the server\'s table: 422 with loc ["body", "agent"]',
      needs: ["ours"],
      test: Effect.gen(function* () {
        const app = yield* App
        for (const agent of ["unknown", "__proto__", "constructor"]) {
          Expect.invalid(yield* app.request("POST", "/sessions", { body: { agent } }), ["body", "agent"])
        }
      })
    },
    {
      title: "meta: a JSON object or null",
      test: Effect.gen(function* () {
        const { agent } = yield* Server
        const app = yield* App
        for (const meta of ["text", 1, true, [], [{}]]) {
          Expect.invalid(yield* app.request("POST", "/sessions", { body: { agent, meta } }), ["body", "meta"])
        }
        for (const meta of [null, {}, { a: { b: [1, "two", null] } }]) {
          const id = yield* app.open({ meta })
          Expect.answer(yield* app.request("GET", `/sessions/${id}`), 200, { meta })
        }
      })
    },
    {
      title: "meta 16 KiB and 16 deep",
      needs: ["ours"],
      test: Effect.gen(function* () {
        const { agent } = yield* Server
        const app = yield* App
        const nested = (levels: number): object => (levels === 1 ? {} : { a: nested(levels - 1) })
        yield* app.open({ meta: nested(16) })
        yield* app.open({ meta: { a: "x".repeat(16_000) } })
        for (const meta of [nested(18), { a: "x".repeat(16 * 1024) }]) {
          Expect.invalid(yield* app.request("POST", "/sessions", { body: { agent, meta } }), ["body", "meta"])
        }
      })
    },
    {
      title: "model: string or null, ^[a-zA-Z0-9][a-zA-Z0-9._:/\\[\\]-]{0,127}$",
      needs: ["ours"],
      test: Effect.gen(function* () {
        const { agent } = yield* Server
        const app = yield* App
        for (const model of ["", "-x", "a b", "a".repeat(129), "é", 1]) {
          Expect.invalid(yield* app.request("POST", "/sessions", { body: { agent, model } }), ["body", "model"])
        }
      })
    },
    {
      title: 'a model that the agent refuses: 422 with loc ["body", "model"]; one that it has is returned',
      needs: ["demo"],
      test: Effect.gen(function* () {
        const { agent } = yield* Server
        const app = yield* App
        const refused = yield* app.request("POST", "/sessions", { body: { agent, model: "no-such-model" } })
        Expect.invalid(refused, ["body", "model"])
        const id = yield* app.open({ model: "demo-terse" })
        Expect.answer(yield* app.request("GET", `/sessions/${id}`), 200, { model: "demo-terse" })
      })
    },
    {
      title: "the agent cannot start: 502, body as a failed run, and no session",
      needs: ["broken", "admin"],
      test: Effect.gen(function* () {
        const app = yield* App
        Expect.failed(yield* app.request("POST", "/sessions", { body: { agent: "broken" } }))
        Expect.answer(yield* app.request("GET", "/sessions"), 200, { sessions: [], count: 0 })
      })
    },
    {
      title: "the pool of open sessions is full: 503, with when to come again; a close makes room",
      needs: ["small", "admin"],
      alone: true,
      test: Effect.gen(function* () {
        const { agent, newApp } = yield* Server
        const apps = [yield* newApp, yield* newApp, yield* newApp]
        const open = (app: App["Service"]) => app.request("POST", "/sessions", { body: { agent } })
        const answers = yield* Effect.forEach(
          apps.flatMap((app) => Array.from({ length: 5 }, () => app)),
          (app) => Effect.map(open(app), (answer) => ({ ...answer, app })),
          { concurrency: 3 }
        )
        const full = answers.filter(({ status }) => status !== 200)
        assert(full.length > 0)
        for (const answer of full) {
          Expect.refused(answer, 503, "session pool is full")
          assert.match(answer.headers["retry-after"] ?? "", /^\d+$/)
        }
        const made = answers.find(({ status }) => status === 200)
        assert(made !== undefined)
        yield* made.app.request("DELETE", `/sessions/${String(Expect.json(made)["session_id"])}`)
        Expect.answer(yield* open(made.app), 200)
      })
    }
  ]
}
