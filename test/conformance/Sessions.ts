/**
 * WIRE.md, "Sessions".
 */
import { Effect, Fiber } from "effect"
import { strict as assert } from "node:assert"
import { SessionInfo } from "../../src/index.ts"
import type { Group } from "./Case.ts"
import * as Expect from "./Expect.ts"
import { App, Server } from "./Server.ts"

const newApp = Effect.flatMap(Server, ({ newApp }) => newApp)

const row = {
  session_id: Expect.isString,
  app_name: Expect.optional(Expect.isString),
  agent: Expect.isString,
  cwd: Expect.isString,
  created_at: Expect.isTime,
  last_turn_at: Expect.orNull(Expect.isTime),
  turn_count: Expect.isCount,
  closed_at: Expect.orNull(Expect.isTime),
  meta: (meta: unknown) => meta === null || typeof meta === "object",
  model: Expect.orNull(Expect.isString)
}

/** What can be done with a session, by whoever may. */
const uses = (id: string) =>
  [
    ["GET", `/sessions/${id}`, undefined],
    ["DELETE", `/sessions/${id}`, undefined],
    ["POST", `/sessions/${id}/turn`, { prompt: "hello" }]
  ] as const

const create: Group = {
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
        for (const agent of ["nobody", "__proto__", "constructor"]) {
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
      title: 'a model that the agent refuses: 422 with loc ["body", "model"]; one that it has is told back',
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

const list: Group = {
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
        for (const listed of rows) Expect.fields(listed, row)
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

const one: Group = {
  name: "GET and DELETE /sessions/{id}",
  cases: [
    {
      title: "GET: 200 with the row's fields, ok, and live: bool",
      test: Effect.gen(function* () {
        const app = yield* App
        const id = yield* app.open()
        Expect.answer(yield* app.request("GET", `/sessions/${id}`), 200, {
          ...row,
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
        for (const unknown of ["nobody", "x".repeat(32), "__proto__", "%2e%2e", "a%20b"]) {
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
        for (const id of ["nobody", open, closed]) {
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
        for (const [method, path, body] of uses("nobody")) {
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
        const { id } = yield* Effect.flatMap(client.createSession({ agent, meta: { n: 1 } }), ({ join }) => join)
        const state = yield* client.getSession(id)
        assert.deepEqual([state.live, state.turnCount, state.meta], [true, 0, { n: 1 }])
        yield* client.closeSession(id)
        yield* client.closeSession(id)
        assert.equal((yield* client.getSession(id)).live, false)
        assert.deepEqual(yield* client.listSessions({ includeClosed: false }), [])
        assert.equal((yield* client.listSessions()).length, 1)
        const unknown = yield* Effect.flip(client.getSession(SessionInfo.sessionId("nobody")))
        assert.deepEqual([unknown._tag, "status" in unknown ? unknown.status : 0], ["ApiError", 404])
      })
    }
  ]
}

const turns: Group = {
  name: "POST /sessions/{id}/turn",
  cases: [
    {
      title: "200: ok: true, session_id, turn_index from 1, events, stop_reason, duration_ms",
      needs: ["demo"],
      test: Effect.gen(function* () {
        const app = yield* App
        const id = yield* app.open()
        for (const turn_index of [1, 2]) {
          const events = Expect.turn(yield* app.turn(id, `/echo ${turn_index}`), {
            session_id: id,
            turn_index,
            stop_reason: "end_turn"
          })
          assert.equal(Expect.textOf(events), String(turn_index))
        }
        const answer = yield* app.request("GET", `/sessions/${id}`)
        Expect.answer(answer, 200, { turn_count: 2, last_turn_at: Expect.isTime })
      })
    },
    {
      title: "a session remembers its earlier turns",
      needs: ["demo"],
      test: Effect.gen(function* () {
        const app = yield* App
        const id = yield* app.open()
        yield* app.turn(id, "Remember the word heliotrope.")
        assert.match(Expect.textOf(Expect.turn(yield* app.turn(id, "Which word did I tell you?"))), /heliotrope/)
      })
    },
    {
      title: "prompt as in /run, and files; what is malformed is 422, and no turn",
      test: Effect.gen(function* () {
        const app = yield* App
        const id = yield* app.open()
        const turn = (body: unknown) => app.request("POST", `/sessions/${id}/turn`, { body })
        for (const body of [{}, { prompt: "" }, { prompt: " \n" }, { prompt: null }, { prompt: 1 }]) {
          Expect.invalid(yield* turn(body), ["body", "prompt"])
        }
        for (const files of ["ff_x", [1], ["x"]]) Expect.invalid(yield* turn({ prompt: "x", files }), ["body", "files"])
        for (const timeout_secs of [true, "30", 1.5]) {
          Expect.invalid(yield* turn({ prompt: "x", timeout_secs }), ["body", "timeout_secs"])
        }
        Expect.answer(yield* app.request("GET", `/sessions/${id}`), 200, { turn_count: 0 })
      })
    },
    {
      title: "timeout_secs: an integer outside the range is clamped into it",
      needs: ["demo", "ours"],
      test: Effect.gen(function* () {
        const app = yield* App
        const id = yield* app.open()
        for (const timeout_secs of [1, 0, -5, 1_000_000, null]) {
          Expect.turn(yield* app.turn(id, "/echo ok", { timeout_secs }))
        }
      })
    },
    {
      title: "of a timeout stop_reason is timeout: 502; the session stays open",
      needs: ["demo"],
      test: Effect.gen(function* () {
        const app = yield* App
        const id = yield* app.open()
        Expect.failed(yield* app.turn(id, "/wait", { timeout_secs: 5 }), { stop_reason: "timeout" })
        Expect.turn(yield* app.turn(id, "/echo next"), { turn_index: 2 })
      })
    },
    {
      title: "the clock of a turn starts when it starts, not while it waits for its place",
      needs: ["demo", "ours"],
      test: Effect.gen(function* () {
        const app = yield* App
        const id = yield* app.open()
        const first = yield* Effect.forkChild(app.turn(id, "/chunks 24 250", { timeout_secs: 60 }))
        yield* app.turns(id, 1)
        Expect.turn(yield* app.turn(id, "/echo second", { timeout_secs: 5 }), { turn_index: 2 })
        Expect.turn(yield* Fiber.join(first), { turn_index: 1, stop_reason: "end_turn" })
      })
    },
    {
      title: "404 unknown, decided before 422; 410 closed, decided before its files",
      needs: ["ours"],
      test: Effect.gen(function* () {
        const app = yield* App
        for (const body of [undefined, {}, "{", { prompt: "" }]) {
          Expect.refused(yield* app.request("POST", "/sessions/nobody/turn", { body }), 404, "session not found")
        }
        const id = yield* app.open()
        yield* app.request("DELETE", `/sessions/${id}`)
        Expect.refused(yield* app.turn(id, "hello", { files: ["ff_unknown"] }), 410)
      })
    },
    {
      title: "410 closed",
      test: Effect.gen(function* () {
        const app = yield* App
        const id = yield* app.open()
        yield* app.request("DELETE", `/sessions/${id}`)
        Expect.refused(yield* app.turn(id, "hello"), 410)
      })
    },
    {
      title: "502 agent failure, body as a failed run: it counts as a turn and the session stays open",
      needs: ["demo"],
      test: Effect.gen(function* () {
        const app = yield* App
        const id = yield* app.open()
        Expect.failed(yield* app.turn(id, "/fail out of paper"), { error: Expect.like(/out of paper/) })
        Expect.failed(yield* app.turn(id, "/exit 3"))
        Expect.answer(yield* app.request("GET", `/sessions/${id}`), 200, { turn_count: 2, live: true, closed_at: null })
        Expect.turn(yield* app.turn(id, "/echo still here"), { turn_index: 3 })
      })
    },
    {
      title: "turns of one session run one at a time, in arrival order",
      needs: ["demo"],
      test: Effect.gen(function* () {
        const app = yield* App
        const id = yield* app.open()
        const first = yield* Effect.forkChild(app.turn(id, "/chunks 10 20"))
        yield* app.turns(id, 1)
        const waiting = yield* Effect.forEach(["two", "three", "four"], (word) =>
          // Another request that was answered shows that the one before it has arrived.
          Effect.tap(Effect.forkChild(app.turn(id, `/echo ${word}`), { startImmediately: true }), () =>
            Effect.andThen(app.turns(id, 1), Effect.sleep("20 millis"))
          )
        )
        const answers = yield* Effect.forEach([first, ...waiting], (turn) => Fiber.join(turn))
        assert.deepEqual(
          answers.map((answer) => [
            Expect.json(answer)["turn_index"],
            Expect.textOf(Expect.turn(answer)).trim().split(" ").at(-1)
          ]),
          [
            [1, "10"],
            [2, "two"],
            [3, "three"],
            [4, "four"]
          ]
        )
      })
    },
    {
      title: "a turn does not wait for another session's",
      needs: ["demo"],
      test: Effect.gen(function* () {
        const app = yield* App
        const [busy, free] = [yield* app.open(), yield* app.open()]
        const waiting = yield* Effect.forkChild(app.turn(busy, "/wait"))
        yield* app.turns(busy, 1)
        Expect.turn(yield* app.turn(free, "/echo now"))
        yield* Fiber.interrupt(waiting)
      })
    },
    {
      title: "a turn in flight is cancelled by DELETE and answers 410, and so do those that wait",
      needs: ["demo"],
      test: Effect.gen(function* () {
        const app = yield* App
        const id = yield* app.open()
        const flying = yield* Effect.forkChild(app.turn(id, "/wait"))
        yield* app.turns(id, 1)
        const waiting = yield* Effect.forkChild(app.turn(id, "/echo never"), { startImmediately: true })
        yield* Effect.andThen(app.turns(id, 1), Effect.sleep("20 millis"))
        assert.deepEqual(Expect.answer(yield* app.request("DELETE", `/sessions/${id}`), 200), { ok: true })
        Expect.refused(yield* Fiber.join(flying), 410)
        Expect.refused(yield* Fiber.join(waiting), 410)
        Expect.answer(yield* app.request("GET", `/sessions/${id}`), 200, { turn_count: 1 })
      })
    },
    {
      title:
        "a file reaches the agent as a resource that it can read, under its cleaned original name; the prompt stays last and unaltered",
      needs: ["demo"],
      test: Effect.gen(function* () {
        const app = yield* App
        const id = yield* app.open()
        const files = [
          yield* app.upload("first line\nsecond line\n", "../../.no tes.TXT"),
          yield* app.upload("more", "b")
        ]
        const events = Expect.turn(yield* app.turn(id, "  What do they say? ", { files }))
        const text = Expect.textOf(events)
        assert.match(text, /^I read no tes\.TXT: 2 lines\. It begins with “first line”\. I read b: 1 line\./)
        assert.match(text, /You said “What do they say\?”/)
        const unaltered = Expect.turn(yield* app.turn(id, "/echo as it is \r\n\t", { files }))
        assert.equal(Expect.textOf(unaltered), "as it is \r\n\t")
      })
    },
    {
      title: "the client sends a turn, and reads 410 as a session that the server closed",
      needs: ["demo"],
      test: Effect.gen(function* () {
        const app = yield* App
        const id = SessionInfo.sessionId(yield* app.open())
        const turn = yield* app.client.turn(id, "/echo by the client", { timeout: "1 minute" })
        assert.deepEqual([turn.text, turn.index, turn.stopReason], ["by the client", 1, "end_turn"])
        yield* app.client.closeSession(id)
        const closed = yield* Effect.flip(app.client.turn(id, "/echo too late"))
        assert.deepEqual([closed._tag, "by" in closed ? closed.by : ""], ["SessionClosed", "server"])
      })
    }
  ]
}

export const Sessions: ReadonlyArray<Group> = [create, list, one, turns]
