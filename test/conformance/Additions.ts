/**
 * WIRE.md, "What our server adds": each only where the server names it.
 */
import { Effect, Fiber, Schedule, Stream } from "effect"
import { strict as assert } from "node:assert"
import { randomUUID } from "node:crypto"
import { SessionInfo } from "../../src/index.ts"
import type { Case, Group } from "./Case.ts"
import * as Expect from "./Expect.ts"
import { App, Server } from "./Server.ts"

const stream: ReadonlyArray<Case> = [
  {
    title:
      "one frame per event as it happens, adjacent chunks NOT merged, then event: done with the 200 body less its events",
    needs: ["feature stream", "demo"],
    test: Effect.gen(function* () {
      const app = yield* App
      const id = yield* app.open()
      const frames = Expect.frames(yield* Stream.mkString(app.stream(id, "/chunks 5")))
      for (const { data, event } of frames.slice(0, -1)) assert.equal(data["type"], event)
      assert.deepEqual(
        frames.filter(({ event }) => event === "text").map(({ data }) => data["content"]),
        ["1 ", "2 ", "3 ", "4 ", "5 "]
      )
      const done = frames.at(-1)
      assert.equal(done?.event, "done")
      Expect.fields(done?.data, {
        ok: true,
        session_id: id,
        turn_index: 1,
        stop_reason: "end_turn",
        duration_ms: Expect.isCount,
        events: undefined
      })
    })
  },
  {
    title: "Accept: text/event-stream: Cache-Control: no-store, X-Accel-Buffering: no, no compression",
    needs: ["feature stream", "demo"],
    test: Effect.gen(function* () {
      const app = yield* App
      const id = yield* app.open()
      const answer = yield* app.request("POST", `/sessions/${id}/turn`, {
        body: { prompt: "/echo x" },
        headers: { accept: "text/event-stream", "accept-encoding": "gzip, br" }
      })
      assert.equal(answer.status, 200)
      assert.match(answer.headers["content-type"] ?? "", /^text\/event-stream\b/)
      assert.equal(answer.headers["cache-control"], "no-store")
      assert.equal(answer.headers["x-accel-buffering"], "no")
      assert.equal(answer.headers["content-encoding"], undefined)
    })
  },
  {
    title: "the first event is out while the turn goes on; a client that goes away cancels it",
    needs: ["feature stream", "demo"],
    test: Effect.gen(function* () {
      const app = yield* App
      const id = yield* app.open()
      yield* app.stream(id, "/wait").pipe(
        Stream.takeUntil((text) => text.includes("Waiting.")),
        Stream.runDrain
      )
      Expect.turn(yield* app.turn(id, "/echo next"), { turn_index: 2 })
    })
  },
  {
    title: "event: error with {status, body}, the body that the JSON answer would have had",
    needs: ["feature stream", "demo"],
    test: Effect.gen(function* () {
      const app = yield* App
      const id = yield* app.open()
      const last = Expect.frames(yield* Stream.mkString(app.stream(id, "/exit 3"))).at(-1)
      assert.equal(last?.event, "error")
      const { body } = Expect.fields(last?.data, { status: 502 })
      Expect.fields(body, { ok: false, error: Expect.isString, stderr: Expect.isString, stop_reason: "error" })
    })
  },
  {
    title: "failures before the first event are ordinary status answers",
    needs: ["feature stream"],
    test: Effect.gen(function* () {
      const app = yield* App
      const id = yield* app.open()
      const turn = (id: string, body: unknown) =>
        app.request("POST", `/sessions/${id}/turn`, { body, headers: { accept: "text/event-stream" } })
      Expect.refused(yield* turn("nobody", { prompt: "x" }), 404)
      Expect.invalid(yield* turn(id, { prompt: "" }), ["body", "prompt"])
      Expect.refused(yield* turn(id, { prompt: "x", files: ["ff_unknown"] }), 404)
      yield* app.request("DELETE", `/sessions/${id}`)
      Expect.refused(yield* turn(id, { prompt: "x" }), 410)
    })
  }
]

/** A key, as the header of a request. */
const key = (key: string = randomUUID()) => ({ "idempotency-key": key })

const cancel: ReadonlyArray<Case> = [
  {
    title:
      'POST /sessions/{id}/cancel ends the turn in flight, which answers 200 with stop_reason "cancelled" and the events so far; turns that still wait are not touched',
    needs: ["feature cancel", "demo"],
    test: Effect.gen(function* () {
      const app = yield* App
      const id = yield* app.open()
      const cancel = app.request("POST", `/sessions/${id}/cancel`)
      assert.deepEqual(Expect.answer(yield* cancel, 200), { ok: true, cancelled: false })
      const flying = yield* Effect.forkChild(app.turn(id, "/wait"))
      yield* app.turns(id, 1)
      const waiting = yield* Effect.forkChild(app.turn(id, "/echo after"), { startImmediately: true })
      yield* Effect.sleep("100 millis")
      assert.deepEqual(Expect.answer(yield* cancel, 200), { ok: true, cancelled: true })
      const events = Expect.turn(yield* Fiber.join(flying), { turn_index: 1, stop_reason: "cancelled" })
      assert.equal(Expect.textOf(events), "Waiting.")
      Expect.turn(yield* Fiber.join(waiting), { turn_index: 2, stop_reason: "end_turn" })
      Expect.answer(yield* app.request("GET", `/sessions/${id}`), 200, { live: true, turn_count: 2 })
    })
  },
  {
    title:
      "cancel with an Idempotency-Key is about the turn of that key only: one that waits is dropped unsent, one that is over is not there",
    needs: ["feature cancel", "feature idempotency", "demo"],
    test: Effect.gen(function* () {
      const app = yield* App
      const id = yield* app.open()
      const headers = key()
      const cancel = Effect.map(app.request("POST", `/sessions/${id}/cancel`, { headers }), (answer) =>
        Expect.answer(answer, 200)
      )
      assert.deepEqual(yield* cancel, { ok: true, cancelled: false })
      const flying = yield* Effect.forkChild(app.turn(id, "/wait"))
      yield* app.turns(id, 1)
      const body = { prompt: "/echo dropped" }
      const waiting = yield* Effect.forkChild(app.request("POST", `/sessions/${id}/turn`, { headers, body }))
      // Until the server has it, there is nothing to cancel.
      const known = Effect.repeat(cancel, {
        until: ({ cancelled }) => cancelled === true,
        schedule: Schedule.spaced("10 millis")
      })
      yield* Effect.timeout(known, "20 seconds")
      Expect.answer(yield* Fiber.join(waiting), 422)
      assert.deepEqual(yield* cancel, { ok: true, cancelled: false })
      Expect.answer(yield* app.request("POST", `/sessions/${id}/cancel`), 200, { cancelled: true })
      Expect.turn(yield* Fiber.join(flying), { turn_index: 1, stop_reason: "cancelled" })
      Expect.turn(yield* app.turn(id, "/echo next"), { turn_index: 2 })
    })
  },
  {
    title: "cancel of an unknown session is 404",
    needs: ["feature cancel"],
    test: Effect.gen(function* () {
      const app = yield* App
      Expect.refused(yield* app.request("POST", "/sessions/nobody/cancel"), 404)
    })
  },
  {
    title:
      "a call without a key whose client goes away is cancelled at once; one that waits for its place is dropped unsent",
    needs: ["feature cancel", "demo"],
    test: Effect.gen(function* () {
      const app = yield* App
      const id = yield* app.open()
      const flying = yield* Effect.forkChild(app.turn(id, "/wait"))
      yield* app.turns(id, 1)
      const waiting = yield* Effect.forkChild(app.turn(id, "/echo dropped"), { startImmediately: true })
      yield* Effect.sleep("100 millis")
      yield* Fiber.interrupt(waiting)
      yield* Fiber.interrupt(flying)
      Expect.turn(yield* app.turn(id, "/echo next"), { turn_index: 2 })
    })
  },
  {
    title: "the client cancels a turn",
    needs: ["feature cancel", "demo"],
    test: Effect.gen(function* () {
      const app = yield* App
      const id = SessionInfo.sessionId(yield* app.open())
      const flying = yield* Effect.forkChild(app.client.turn(id, "/wait"))
      yield* app.turns(id, 1)
      assert.equal(yield* app.client.cancelTurn(id), true)
      assert.equal((yield* Fiber.join(flying)).stopReason, "cancelled")
    })
  }
]

const idempotency: ReadonlyArray<Case> = [
  {
    title: "Idempotency-Key on turn: a repeat with the same body gets the first answer, and reaches no agent",
    needs: ["feature idempotency", "demo"],
    test: Effect.gen(function* () {
      const app = yield* App
      const id = yield* app.open()
      const headers = key()
      const turn = (body: unknown) => app.request("POST", `/sessions/${id}/turn`, { headers, body })
      const first = yield* turn({ prompt: "/echo once", timeout_secs: 60 })
      Expect.turn(first, { turn_index: 1 })
      // The same as canonical JSON: other spaces, another order.
      const again = yield* turn('{ "timeout_secs": 60,\n "prompt": "/echo \\u006fnce" }')
      assert.deepEqual([again.status, again.text], [first.status, first.text])
      Expect.answer(yield* app.request("GET", `/sessions/${id}`), 200, { turn_count: 1 })
    })
  },
  {
    title: "a repeat while the first is still running waits for it",
    needs: ["feature idempotency", "demo"],
    test: Effect.gen(function* () {
      const app = yield* App
      const id = yield* app.open()
      const options = { headers: key(), body: { prompt: "/chunks 5 50" } }
      const turn = app.request("POST", `/sessions/${id}/turn`, options)
      const answers = yield* Effect.all([turn, turn, turn], { concurrency: "unbounded" })
      assert.equal(new Set(answers.map(({ text }) => text)).size, 1)
      Expect.answer(yield* app.request("GET", `/sessions/${id}`), 200, { turn_count: 1 })
    })
  },
  {
    title: "with another body 422",
    needs: ["feature idempotency", "demo"],
    test: Effect.gen(function* () {
      const app = yield* App
      const id = yield* app.open()
      const headers = key()
      const turn = (prompt: string) => app.request("POST", `/sessions/${id}/turn`, { headers, body: { prompt } })
      Expect.turn(yield* turn("/echo one"))
      Expect.answer(yield* turn("/echo two"), 422)
    })
  },
  {
    title: "scoped to app, method, path and key",
    needs: ["feature idempotency", "demo", "admin"],
    test: Effect.gen(function* () {
      const { agent, newApp } = yield* Server
      const headers = key()
      const ids = new Set<unknown>()
      for (const app of [yield* App, yield* newApp]) {
        for (const _ of [1, 2]) {
          const answer = yield* app.request("POST", "/sessions", { headers, body: { agent } })
          ids.add(Expect.answer(answer, 200)["session_id"])
        }
        const run = yield* app.request("POST", "/run", { headers, body: { prompt: "/echo x" } })
        Expect.answer(run, 200, { result: "x" })
      }
      assert.equal(ids.size, 2)
    })
  },
  {
    title: "answers that acted are kept (200, the agent's 502, 410)",
    needs: ["feature idempotency", "demo"],
    test: Effect.gen(function* () {
      const app = yield* App
      const headers = key()
      const fail = app.request("POST", "/run", { headers, body: { prompt: "/fail out of paper" } })
      const [first, again] = [yield* fail, yield* fail]
      Expect.failed(first)
      assert.equal(again.text, first.text)
    })
  },
  {
    title: "refusals (4xx, 503) are not kept",
    needs: ["feature idempotency", "demo"],
    test: Effect.gen(function* () {
      const app = yield* App
      const headers = key()
      const run = (body: unknown) => app.request("POST", "/run", { headers, body })
      Expect.invalid(yield* run({ prompt: "" }), ["body", "prompt"])
      Expect.refused(yield* run({ prompt: "x", files: ["ff_unknown"] }), 404)
      Expect.answer(yield* run({ prompt: "/echo x" }), 200, { result: "x" })
    })
  },
  {
    title: "Idempotency-Key: [\\x21-\\x7e]{1,255}, else 422",
    needs: ["feature idempotency", "demo"],
    test: Effect.gen(function* () {
      const app = yield* App
      for (const wrong of ["a b", "x".repeat(256)]) {
        const answer = yield* app.request("POST", "/run", { headers: key(wrong), body: { prompt: "/echo x" } })
        Expect.answer(answer, 422)
      }
      const longest = { headers: key("~!".padEnd(255, "x")), body: { prompt: "/echo x" } }
      Expect.answer(yield* app.request("POST", "/run", longest), 200)
    })
  },
  {
    title: "a keyed call outlives its connection: whoever comes back with its key gets its answer",
    needs: ["feature idempotency", "demo"],
    test: Effect.gen(function* () {
      const app = yield* App
      const id = yield* app.open()
      const turn = app.request("POST", `/sessions/${id}/turn`, { headers: key(), body: { prompt: "/chunks 6 50" } })
      const gone = yield* Effect.forkChild(turn)
      yield* app.turns(id, 1)
      yield* Fiber.interrupt(gone)
      const events = Expect.turn(yield* turn, { turn_index: 1, stop_reason: "end_turn" })
      assert.equal(Expect.textOf(events), "1 2 3 4 5 6 ")
    })
  }
]

const others: ReadonlyArray<Case> = [
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
      const seqs = events.map(({ seq }) => Number(seq))
      assert.deepEqual(
        seqs,
        seqs.toSorted((one, other) => one - other)
      )
      const rest = Expect.answer(yield* list(`?after=${seqs[0]}`), 200)
      assert.deepEqual(rest["events"], events.slice(1))
      Expect.refused(yield* app.request("GET", "/sessions/nobody/events"), 404)
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
        Effect.map(request("GET", path, { headers: { "x-request-id": id } }), ({ headers }) => headers["x-request-id"])
      for (const [request, path] of [
        [call, "/healthz"],
        [app.request, "/sessions"],
        [app.request, "/nope"],
        [app.request, "/sessions/nobody"],
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

export const Additions: ReadonlyArray<Group> = [
  { name: "What our server adds: stream", cases: stream },
  { name: "What our server adds: idempotency", cases: idempotency },
  { name: "What our server adds: cancel", cases: cancel },
  { name: "What our server adds: session options, usage, events, request ids, readiness", cases: others }
]
