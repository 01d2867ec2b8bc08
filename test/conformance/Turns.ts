/**
 * WIRE.md, "Sessions": turns.
 */
import { Effect, Fiber } from "effect"
import { strict as assert } from "node:assert"
import { SessionInfo } from "../../src/index.ts"
import type { Group } from "./Case.ts"
import * as Expect from "./Expect.ts"
import { App } from "./Server.ts"

export const Turns: Group = {
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
          Expect.refused(yield* app.request("POST", "/sessions/unknown/turn", { body }), 404, "session not found")
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
        const waiting = yield* Effect.forEach(["two", "three", "four"], (word) => app.queueTurn(id, `/echo ${word}`))
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
        const waiting = yield* app.queueTurn(id, "/echo never")
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
        const session = yield* app.client.attach(id)
        const turn = yield* session.turn("/echo by the client", { timeout: "1 minute" })
        assert.deepEqual([turn.text, turn.index, turn.stopReason], ["by the client", 1, "end_turn"])
        yield* app.request("DELETE", `/sessions/${id}`)
        const closed = yield* Effect.flip(session.turn("/echo too late"))
        assert.deepEqual([closed._tag, "by" in closed ? closed.by : ""], ["SessionClosed", "server"])
      })
    }
  ]
}
