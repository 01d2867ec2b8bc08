/**
 * WIRE.md, "What our server adds": how a turn is cancelled.
 */
import { Effect, Fiber } from "effect"
import { strict as assert } from "node:assert"
import { SessionInfo } from "../../src/index.ts"
import { eventually } from "../support/Eventually.ts"
import type { Group } from "./Case.ts"
import * as Expect from "./Expect.ts"
import { key } from "./Key.ts"
import { App } from "./Server.ts"

export const Cancel: Group = {
  name: "What our server adds: cancel",
  cases: [
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
        const waiting = yield* app.queueTurn(id, "/echo after")
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
        yield* cancel.pipe(eventually("the turn to cancel", ({ cancelled }) => cancelled === true))
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
        Expect.refused(yield* app.request("POST", "/sessions/unknown/cancel"), 404)
      })
    },
    {
      title:
        "a call without a key whose client goes away is cancelled at once; one that waits for its permit is dropped unsent",
      needs: ["feature cancel", "demo"],
      test: Effect.gen(function* () {
        const app = yield* App
        const id = yield* app.open()
        const flying = yield* Effect.forkChild(app.turn(id, "/wait"))
        yield* app.turns(id, 1)
        const waiting = yield* app.queueTurn(id, "/echo dropped")
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
        const session = yield* app.client.attach(id)
        const turn = yield* Effect.forkChild(session.turn("/wait"))
        yield* app.turns(id, 1)
        assert.equal(yield* session.cancel, true)
        assert.equal((yield* Fiber.join(turn)).stopReason, "cancelled")
      })
    }
  ]
}
