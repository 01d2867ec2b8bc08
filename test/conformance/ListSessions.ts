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
      title: "pages of limit sessions, newest first, with next_cursor until there are no more; without limit all",
      needs: ["admin", "feature pages"],
      test: Effect.gen(function* () {
        const [app, other] = [yield* App, yield* newApp]
        const ids = [yield* app.open(), yield* app.open(), yield* app.open()].toReversed()
        const page = Effect.fnUntraced(function* (query: string) {
          const body = Expect.answer(yield* app.request("GET", `/sessions?${query}`), 200, { ok: true })
          const rows = Expect.records(body["sessions"]).map((listed) => listed["session_id"])
          assert.equal(body["count"], rows.length)
          return { rows, next: body["next_cursor"] }
        })
        const first = yield* page("limit=2")
        assert.deepEqual(first.rows, ids.slice(0, 2))
        assert.equal(typeof first.next, "string")
        const cursor = encodeURIComponent(String(first.next))
        yield* app.open()
        assert.deepEqual(yield* page(`limit=2&cursor=${cursor}`), { rows: ids.slice(2), next: null })
        assert.deepEqual((yield* page(`cursor=${cursor}`)).rows, ids.slice(2))
        const all = yield* page("")
        assert.equal(all.rows.length, 4)
        assert.equal(all.next, undefined)
        Expect.invalid(yield* other.request("GET", `/sessions?limit=2&cursor=${cursor}`), ["query", "cursor"])
      })
    },
    {
      title: "meta.KEY=VALUE lists the sessions whose meta has that string",
      needs: ["admin", "feature pages"],
      test: Effect.gen(function* () {
        const app = yield* App
        const [one] = [yield* app.open({ meta: { "a b": "x&y", n: 1 } }), yield* app.open({ meta: { "a b": "x" } })]
        const listed = Effect.fnUntraced(function* (query: string) {
          const { sessions } = Expect.answer(yield* app.request("GET", `/sessions?${query}`), 200)
          return Expect.records(sessions).map((listed) => listed["session_id"])
        })
        assert.deepEqual(yield* listed("meta.a%20b=x%26y"), [one])
        assert.deepEqual(yield* listed("limit=5&meta.a%20b=x%26y"), [one])
        assert.deepEqual(yield* listed("meta.n=1"), [])
      })
    },
    {
      title: "a limit that is not 1 to 1,000, and a cursor that is none, are 422",
      needs: ["feature pages"],
      test: Effect.gen(function* () {
        const app = yield* App
        for (const limit of ["0", "1001", "-1", "1.5", "many", ""]) {
          Expect.invalid(yield* app.request("GET", `/sessions?limit=${limit}`), ["query", "limit"])
        }
        for (const cursor of ["", "x", "MS4x", "1.1"]) {
          Expect.invalid(yield* app.request("GET", `/sessions?cursor=${cursor}`), ["query", "cursor"])
        }
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
