/**
 * WIRE.md, "What our server adds": how long a call goes on without a reader.
 */
import { Effect, Fiber, Stream } from "effect"
import { strict as assert } from "node:assert"
import type { Group } from "./Case.ts"
import * as Expect from "./Expect.ts"
import { key } from "./Key.ts"
import { App } from "./Server.ts"

export const Linger: Group = {
  name: "What our server adds: linger",
  cases: [
    {
      title: "a keyed turn or run may carry linger_secs (0 to the longest turn), else 422",
      needs: ["feature linger", "demo"],
      test: Effect.gen(function* () {
        const app = yield* App
        const id = yield* app.open()
        for (const path of ["/run", `/sessions/${id}/turn`]) {
          const call = (linger_secs: unknown, headers = key()) =>
            app.request("POST", path, { headers, body: { prompt: "/echo x", linger_secs } })
          for (const right of [0, 30, 600, null]) Expect.answer(yield* call(right), 200)
          for (const wrong of [-1, 601, 1e300, 1.5, "30", true]) {
            Expect.invalid(yield* call(wrong), ["body", "linger_secs"])
          }
        }
        Expect.answer(yield* app.request("GET", `/sessions/${id}`), 200, { turn_count: 4 })
      })
    },
    {
      title: "without a key there is nothing to come back to: 422",
      needs: ["feature linger", "demo", "ours"],
      test: Effect.gen(function* () {
        const app = yield* App
        const id = yield* app.open()
        for (const path of ["/run", `/sessions/${id}/turn`]) {
          const answer = yield* app.request("POST", path, { body: { prompt: "/echo x", linger_secs: 30 } })
          Expect.invalid(answer, ["body", "linger_secs"])
        }
      })
    },
    {
      title: "0: the call is cancelled as soon as it has no reader, and is not run again",
      needs: ["feature linger", "feature stream", "demo"],
      test: Effect.gen(function* () {
        const app = yield* App
        const id = yield* app.open()
        const headers = key()
        const body = { prompt: "/wait", linger_secs: 0 }
        yield* app
          .read("POST", `/sessions/${id}/turn`, { body, headers: { ...headers, accept: "text/event-stream" } })
          .pipe(
            Stream.takeUntil((text) => text.includes("Waiting.")),
            Stream.runDrain
          )
        Expect.turn(yield* app.turn(id, "/echo next"), { turn_index: 2 })
        const again = yield* app.request("POST", `/sessions/${id}/turn`, { headers, body })
        Expect.failed(again, { stop_reason: "cancelled" })
        Expect.answer(yield* app.request("GET", `/sessions/${id}`), 200, { turn_count: 2 })
      })
    },
    {
      title: "a call with a key that is read by another program is joined by the same key and body",
      needs: ["feature linger", "feature stream", "demo"],
      test: Effect.gen(function* () {
        const app = yield* App
        const id = yield* app.open()
        const headers = key()
        const path = `/sessions/${id}/turn`
        const body = { prompt: "/chunks 8 50", linger_secs: 60 }
        const read = (after: number) =>
          app
            .read("POST", path, {
              body,
              headers: { ...headers, accept: "text/event-stream", "last-event-id": String(after) }
            })
            .pipe(Stream.mkString, Effect.map(Expect.framesText))
        // The first reader goes away, the second one comes in the meantime or later.
        const gone = yield* Effect.forkChild(read(0))
        yield* app.turns(id, 1)
        yield* Fiber.interrupt(gone)
        const whole = yield* read(0)
        assert.equal(Expect.textOf(Expect.frames(whole).map(({ data }) => data)), "1 2 3 4 5 6 7 8 ")
        assert.equal(yield* read(4), whole.slice(whole.indexOf("id: 5\n")))
        const other = yield* app.request("POST", path, { headers, body: { ...body, linger_secs: 61 } })
        Expect.answer(other, 422)
        Expect.answer(yield* app.request("GET", `/sessions/${id}`), 200, { turn_count: 1 })
      })
    }
  ]
}
