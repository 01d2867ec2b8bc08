/**
 * WIRE.md, "Sessions": how one is looked at and closed.
 */
import { Effect } from "effect"
import { strict as assert } from "node:assert"
import { SessionInfo } from "../../src/index.ts"
import type { Group } from "./Case.ts"
import * as Expect from "./Expect.ts"
import { App, Server } from "./Server.ts"

const newApp = Effect.flatMap(Server, ({ newApp }) => newApp)

/** Every use of a session. */
const uses = (id: string) =>
  [
    ["GET", `/sessions/${id}`, undefined],
    ["DELETE", `/sessions/${id}`, undefined],
    ["POST", `/sessions/${id}/turn`, { prompt: "hello" }]
  ] as const

export const OneSession: Group = {
  name: "GET and DELETE /sessions/{id}",
  cases: [
    {
      title: "GET: 200 with the row's fields, ok, and live: bool",
      test: Effect.gen(function* () {
        const app = yield* App
        const id = yield* app.open()
        Expect.answer(yield* app.request("GET", `/sessions/${id}`), 200, {
          ...Expect.sessionRow,
          ok: true,
          session_id: id,
          live: true
        })
      })
    },
    {
      title: "404 for an unknown id: existence never leaks - for GET, DELETE and turn alike",
      test: Effect.gen(function* () {
        const app = yield* App
        for (const unknown of ["unknown", "x".repeat(32), "__proto__", "%2e%2e", "a%20b"]) {
          for (const [method, path, body] of uses(unknown))
            Expect.refused(yield* app.request(method, path, { body }), 404)
        }
      })
    },
    {
      title: "404 for another app's session, byte for byte as for an unknown one, open or closed",
      needs: ["admin"],
      test: Effect.gen(function* () {
        const [app, other] = [yield* App, yield* newApp]
        const [open, closed] = [yield* other.open(), yield* other.open()]
        yield* other.request("DELETE", `/sessions/${closed}`)
        const texts = new Set<string>()
        for (const id of ["unknown", open, closed]) {
          for (const [method, path, body] of uses(id)) {
            const answer = yield* app.request(method, path, { body })
            Expect.refused(answer, 404)
            texts.add(answer.text)
          }
        }
        assert.equal(texts.size, 1, [...texts].join("\n"))
        Expect.answer(yield* other.request("GET", `/sessions/${open}`), 200, { live: true, turn_count: 0 })
      })
    },
    {
      title: '404 says {"detail": "session not found"}',
      needs: ["ours"],
      test: Effect.gen(function* () {
        const app = yield* App
        for (const [method, path, body] of uses("unknown")) {
          Expect.refused(yield* app.request(method, path, { body }), 404, "session not found")
        }
      })
    },
    {
      title: 'DELETE: 200 {"ok": true}, later 200 {"ok": true, "already_closed": true}',
      test: Effect.gen(function* () {
        const app = yield* App
        const id = yield* app.open()
        const close = app.request("DELETE", `/sessions/${id}`)
        assert.deepEqual(Expect.answer(yield* close, 200), { ok: true })
        assert.deepEqual(Expect.answer(yield* close, 200), { ok: true, already_closed: true })
        assert.deepEqual(Expect.answer(yield* close, 200), { ok: true, already_closed: true })
      })
    },
    {
      title: "GET of a closed session is 200 with closed_at; live is false once closed",
      test: Effect.gen(function* () {
        const app = yield* App
        const id = yield* app.open()
        yield* app.request("DELETE", `/sessions/${id}`)
        const answer = yield* app.request("GET", `/sessions/${id}`)
        Expect.answer(answer, 200, { closed_at: Expect.isTime, live: false })
      })
    },
    {
      title: "the client opens, finds, lists and closes a session",
      needs: ["admin"],
      test: Effect.gen(function* () {
        const { agent } = yield* Server
        const { client } = yield* App
        const session = yield* client.session({ agent, meta: { n: 1 } })
        const state = yield* session.state
        assert.deepEqual([state.live, state.turnCount, state.meta], [true, 0, { n: 1 }])
        yield* session.close
        yield* session.close
        assert.equal((yield* session.state).live, false)
        assert.deepEqual(yield* client.sessions({ includeClosed: false }), [])
        assert.equal((yield* client.sessions()).length, 1)
        const unknown = yield* Effect.flip(client.attach(SessionInfo.sessionId("unknown")))
        assert.deepEqual([unknown._tag, "status" in unknown ? unknown.status : 0], ["ApiError", 404])
      })
    }
  ]
}
