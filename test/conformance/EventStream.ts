/**
 * WIRE.md, "What our server adds": a turn as an event stream.
 */
import { Effect, Stream } from "effect"
import { strict as assert } from "node:assert"
import type { Group } from "./Case.ts"
import * as Expect from "./Expect.ts"
import { App } from "./Server.ts"

export const EventStream: Group = {
  name: "What our server adds: stream",
  cases: [
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
      title: "Accept: text/event-stream: UTF-8, Cache-Control: no-store, X-Accel-Buffering: no, no compression",
      needs: ["feature stream", "demo"],
      test: Effect.gen(function* () {
        const app = yield* App
        const id = yield* app.open()
        const answer = yield* app.request("POST", `/sessions/${id}/turn`, {
          body: { prompt: "/echo x" },
          headers: { accept: "text/event-stream", "accept-encoding": "gzip, br" }
        })
        assert.equal(answer.status, 200)
        assert.match(answer.headers["content-type"] ?? "", /^text\/event-stream; ?charset=utf-8$/i)
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
        Expect.refused(yield* turn("unknown", { prompt: "x" }), 404)
        Expect.invalid(yield* turn(id, { prompt: "" }), ["body", "prompt"])
        Expect.refused(yield* turn(id, { prompt: "x", files: ["ff_unknown"] }), 404)
        yield* app.request("DELETE", `/sessions/${id}`)
        Expect.refused(yield* turn(id, { prompt: "x" }), 410)
      })
    }
  ]
}
