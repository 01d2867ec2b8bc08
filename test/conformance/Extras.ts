/**
 * WIRE.md, "What our server adds": session options, usage, events, request ids and readiness.
 */
import { Effect } from "effect"
import { strict as assert } from "node:assert"
import type { Group } from "./Case.ts"
import * as Expect from "./Expect.ts"
import { App, Server } from "./Server.ts"

export const Extras: Group = {
  name: "What our server adds: session options, usage, events, request ids, readiness",
  cases: [
    {
      title: "session_options: POST /sessions also takes system, system_mode and effort as in /run",
      needs: ["feature session_options", "demo"],
      test: Effect.gen(function* () {
        const { agent } = yield* Server
        const app = yield* App
        const said = (id: string, prompt: string) =>
          Effect.map(app.turn(id, prompt), (answer) => Expect.textOf(Expect.turn(answer)))
        const replaced = yield* app.open({ system: "Speak Latin.", system_mode: "replace", effort: "max" })
        assert.equal(yield* said(replaced, "/system"), "Speak Latin.")
        assert.equal(yield* said(replaced, "/settings"), "demo, max")
        const appended = yield* app.open({ system: "Speak Latin.", system_mode: null, effort: null })
        assert.equal(yield* said(appended, "/system"), "You are the demo agent.\n\nSpeak Latin.")
        for (const [name, value] of [
          ["system", ""],
          ["system_mode", "prefix"],
          ["effort", "extreme"]
        ] as const) {
          Expect.invalid(yield* app.request("POST", "/sessions", { body: { agent, [name]: value } }), ["body", name])
        }
      })
    },
    {
      title: "usage: a turn carries it, a run only when asked with ?usage=true",
      needs: ["feature usage", "demo"],
      test: Effect.gen(function* () {
        const app = yield* App
        const id = yield* app.open()
        const answer = yield* app.turn(id, "/echo x")
        const { usage } = Expect.answer(answer, 200)
        Expect.fields(usage, {
          input_tokens: Expect.isCount,
          output_tokens: Expect.isCount,
          total_tokens: Expect.isCount
        })
        const run = (query: string) => app.request("POST", `/run${query}`, { body: { prompt: "/echo x" } })
        const asked = Expect.answer(yield* run("?usage=true"), 200)
        Expect.fields(asked["usage"], { input_tokens: Expect.isCount, output_tokens: Expect.isCount })
        Expect.answer(yield* run("?usage=false"), 200, { usage: undefined })
      })
    },
    {
      title: "usage: the state of a session has what its turns used together",
      needs: ["feature usage", "demo"],
      test: Effect.gen(function* () {
        const app = yield* App
        const id = yield* app.open()
        const state = Effect.map(app.request("GET", `/sessions/${id}`), (answer) => Expect.answer(answer, 200))
        assert.equal((yield* state)["usage"], undefined)
        const usages: Array<Readonly<Record<string, unknown>>> = []
        for (const prompt of ["/echo x", "/echo a longer one"]) {
          usages.push(Expect.record(Expect.answer(yield* app.turn(id, prompt), 200)["usage"]))
        }
        const sum = (name: string) => usages.reduce((sum, usage) => sum + Number(usage[name]), 0)
        const fields = ["input_tokens", "output_tokens", "total_tokens"]
        assert.deepEqual((yield* state)["usage"], Object.fromEntries(fields.map((name) => [name, sum(name)])))
      })
    },
    {
      title: "GET /sessions/{id}/events?after=SEQ: {seq, at, kind, turn_index?, detail?}, ascending, without text",
      needs: ["feature events", "demo"],
      test: Effect.gen(function* () {
        const app = yield* App
        const id = yield* app.open()
        yield* app.turn(id, "/echo canary-prompt")
        yield* app.request("DELETE", `/sessions/${id}`)
        const list = (query: string) => app.request("GET", `/sessions/${id}/events${query}`)
        const answer = yield* list("")
        assert(!answer.text.includes("canary"))
        const events = Expect.records(Expect.answer(answer, 200, { ok: true })["events"])
        for (const event of events)
          Expect.fields(event, { seq: Expect.isCount, at: Expect.isTime, kind: Expect.isString })
        assert.deepEqual(
          events.map(({ kind }) => kind),
          ["create", "turn", "close"]
        )
        assert.equal(events[1]?.["turn_index"], 1)
        Expect.fields(events[1]?.["detail"], { stop_reason: "end_turn", duration_ms: Expect.isCount })
        const seqs = events.map(({ seq }) => Number(seq))
        assert.deepEqual(
          seqs,
          seqs.toSorted((one, other) => one - other)
        )
        const rest = Expect.answer(yield* list(`?after=${seqs[0]}`), 200)
        assert.deepEqual(rest["events"], events.slice(1))
        Expect.refused(yield* app.request("GET", "/sessions/unknown/events"), 404)
        Expect.invalid(yield* list("?after=x"), ["query", "after"])
      })
    },
    {
      title: "every answer carries X-Request-Id; a request's own is kept if ^[A-Za-z0-9._-]{1,128}$",
      needs: ["feature request_id"],
      test: Effect.gen(function* () {
        const { call } = yield* Server
        const app = yield* App
        const idOf = (request: typeof app.request, path: string, id: string) =>
          Effect.map(
            request("GET", path, { headers: { "x-request-id": id } }),
            ({ headers }) => headers["x-request-id"]
          )
        for (const [request, path] of [
          [call, "/healthz"],
          [app.request, "/sessions"],
          [app.request, "/nope"],
          [app.request, "/sessions/unknown"],
          [app.request, "/run"]
        ] as const) {
          assert.equal(yield* idOf(request, path, "A-z.0_9"), "A-z.0_9", path)
          for (const wrong of ["a b", "x".repeat(129), "é".normalize(), "a/b"]) {
            assert.match((yield* idOf(request, path, encodeURI(wrong))) ?? "", /^[0-9a-f-]{36}$/, path)
          }
        }
        assert.equal(yield* idOf(call, "/healthz", "x".repeat(128)), "x".repeat(128))
      })
    },
    {
      title: "GET /readyz → 200",
      needs: ["feature ready"],
      test: Effect.gen(function* () {
        const { call } = yield* Server
        Expect.answer(yield* call("GET", "/readyz"), 200)
      })
    }
  ]
}
