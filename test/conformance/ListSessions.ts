/**
 * WIRE.md, "Sessions": how they are listed.
 */
import { Effect } from "effect"
import { strict as assert } from "node:assert"
import type { Group } from "./Case.ts"
import * as Expect from "./Expect.ts"
import { App, Server } from "./Server.ts"

const newApp = Effect.flatMap(Server, ({ newApp }) => newApp)

export const ListSessions: Group = {
  name: "GET /sessions",
  cases: [
    {
      title:
        "200 with ok, sessions and count; a row has session_id, agent, cwd, created_at, last_turn_at, turn_count, closed_at, meta, model",
      test: Effect.gen(function* () {
        const { agent } = yield* Server
        const app = yield* App
        const id = yield* app.open({ meta: { n: 1 } })
        const { count, sessions } = Expect.answer(yield* app.request("GET", "/sessions"), 200, { ok: true })
        const rows = Expect.records(sessions)
        assert.equal(count, rows.length)
        for (const listed of rows) Expect.fields(listed, Expect.sessionRow)
        const own = rows.find((listed) => listed["session_id"] === id)
        Expect.fields(own, { agent, meta: { n: 1 }, turn_count: 0, last_turn_at: null, closed_at: null })
      })
    },
    {
      title: "app_name is always sent",
      needs: ["ours"],
      test: Effect.gen(function* () {
        const app = yield* App
        const id = yield* app.open()
        const app_name = app.name === "" ? Expect.isString : app.name
        Expect.answer(yield* app.request("GET", `/sessions/${id}`), 200, { app_name })
        const { sessions } = Expect.answer(yield* app.request("GET", "/sessions"), 200)
        for (const listed of Expect.records(sessions)) Expect.fields(listed, { app_name })
      })
    },
    {
      title: "newest first; of one second, the later insertion first; closed ones too, unless include_closed=false",
      needs: ["admin"],
      test: Effect.gen(function* () {
        const app = yield* App
        const [first, second, third] = [yield* app.open(), yield* app.open(), yield* app.open()]
        yield* app.request("DELETE", `/sessions/${second}`)
        const listed = Effect.fnUntraced(function* (query: string) {
          const { sessions } = Expect.answer(yield* app.request("GET", `/sessions${query}`), 200)
          return Expect.records(sessions).map((listed) => listed["session_id"])
        })
        assert.deepEqual(yield* listed(""), [third, second, first])
        assert.deepEqual(yield* listed("?include_closed=true"), [third, second, first])
        assert.deepEqual(yield* listed("?include_closed=false"), [third, first])
      })
    },
    {
      title: "lists the caller's own sessions, and no other app's",
      needs: ["admin"],
      test: Effect.gen(function* () {
        const [app, other] = [yield* App, yield* newApp]
        yield* app.open()
        Expect.answer(yield* other.request("GET", "/sessions"), 200, { sessions: [], count: 0 })
      })
    },
    {
      title: "include_closed that is neither is 422",
      needs: ["ours"],
      test: Effect.gen(function* () {
        const app = yield* App
        const answer = yield* app.request("GET", "/sessions?include_closed=perhaps")
        Expect.invalid(answer, ["query", "include_closed"])
      })
    }
  ]
}
