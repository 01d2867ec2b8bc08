/**
 * WIRE.md, "What our server adds": calls with a key.
 */
import { Effect, Fiber } from "effect"
import { strict as assert } from "node:assert"
import type { Group } from "./Case.ts"
import * as Expect from "./Expect.ts"
import { key } from "./Key.ts"
import { App, Server } from "./Server.ts"

export const Idempotency: Group = {
  name: "What our server adds: idempotency",
  cases: [
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
      title: "a keyed call outlives its connection: a later call with its key gets its answer",
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
}
