/**
 * WIRE.md, "What our server adds": a turn as an event stream.
 */
import { Effect, Fiber, Stream } from "effect"
import { strict as assert } from "node:assert"
import { type ForgeError, SessionInfo, Turn, Upload } from "../../src/index.ts"
import type { Group } from "./Case.ts"
import * as Expect from "./Expect.ts"
import { key } from "./Key.ts"
import { App } from "./Server.ts"

/** How a call of the client ended, less what differs from request to request. */
const outcomeOf = (turn: Effect.Effect<Turn.Turn, ForgeError.TurnError>) =>
  Effect.match(turn, {
    onSuccess: (turn): unknown => turn,
    onFailure: (error): unknown =>
      error._tag === "ApiError" ? [error.status, error.outcome, error.message, error.reason] : error
  })

export const EventStream: Group = {
  name: "What our server adds: stream",
  cases: [
    {
      title:
        "one frame per event as it happens, id: its number in the turn, from 1, adjacent chunks NOT merged, then event: done with the 200 body less its events",
      needs: ["feature stream", "demo"],
      test: Effect.gen(function* () {
        const app = yield* App
        const id = yield* app.open()
        const frames = Expect.frames(yield* Stream.mkString(app.stream(id, "/chunks 5")))
        for (const [at, { data, event, id }] of frames.slice(0, -1).entries()) {
          assert.deepEqual([data["type"], id], [event, at + 1])
        }
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
    },
    {
      title:
        "Resume: the same request with the same Idempotency-Key and Last-Event-ID: N gives the frames after N with the same numbers and cuts, while the turn runs",
      needs: ["feature stream", "feature idempotency", "demo"],
      test: Effect.gen(function* () {
        const app = yield* App
        const id = yield* app.open()
        const headers = key()
        const read = (more: object = {}) =>
          Stream.mkString(app.stream(id, "/chunks 8 50", { ...headers, ...more })).pipe(Effect.map(Expect.framesText))
        const first = yield* Effect.forkChild(read())
        yield* app.turns(id, 1)
        const answers = yield* Effect.forEach([0, 1, 3], (after) => read({ "last-event-id": String(after) }), {
          concurrency: "unbounded"
        })
        const whole = yield* Fiber.join(first)
        for (const [at, after] of [0, 1, 3].entries()) {
          assert.equal(answers[at], whole.slice(whole.indexOf(`id: ${after + 1}\n`)))
        }
        Expect.answer(yield* app.request("GET", `/sessions/${id}`), 200, { turn_count: 1 })
      })
    },
    {
      title: "and after it ended; a number beyond the last gives the end frame alone",
      needs: ["feature stream", "feature idempotency", "demo"],
      test: Effect.gen(function* () {
        const app = yield* App
        const id = yield* app.open()
        const headers = key()
        const json = yield* app.request("POST", `/sessions/${id}/turn`, { headers, body: { prompt: "/chunks 3" } })
        const read = (after?: number) =>
          app.request("POST", `/sessions/${id}/turn`, {
            headers: {
              ...headers,
              accept: "text/event-stream",
              ...(after === undefined ? {} : { "last-event-id": String(after) })
            },
            body: { prompt: "/chunks 3" }
          })
        const { text: whole } = yield* read()
        const frames = Expect.frames(whole)
        const said = frames.filter(({ event }) => event === "text").map(({ data }) => data["content"])
        assert.deepEqual(said, ["1 ", "2 ", "3 "])
        const { events: _, ...rest } = Expect.answer(json, 200)
        assert.deepEqual(frames.at(-1), { id: undefined, event: "done", data: rest })
        const last = frames.length - 1
        for (let after = 0; after < last; after++) {
          assert.equal((yield* read(after)).text, whole.slice(whole.indexOf(`id: ${after + 1}\n`)))
        }
        for (const after of [last, last + 1, 1_000_000]) {
          assert.equal((yield* read(after)).text, whole.slice(whole.indexOf("event: done")))
        }
        Expect.answer(yield* app.request("GET", `/sessions/${id}`), 200, { turn_count: 1 })
      })
    },
    {
      title: "and of a turn that failed: event: error, with the frames before it",
      needs: ["feature stream", "feature idempotency", "demo"],
      test: Effect.gen(function* () {
        const app = yield* App
        const id = yield* app.open()
        const headers = key()
        const read = (after: number) =>
          Stream.mkString(app.stream(id, "/exit 3", { ...headers, "last-event-id": String(after) })).pipe(
            Effect.map((text) => Expect.frames(text).map(({ event }) => event))
          )
        assert.deepEqual(yield* read(0), ["text", "error"])
        assert.deepEqual(yield* read(0), ["text", "error"])
        assert.deepEqual(yield* read(1), ["error"])
        assert.deepEqual(yield* read(2), ["error"])
      })
    },
    {
      title: "Last-Event-ID: a whole number, else 422; of a call without a key 422, never a second prompt",
      needs: ["feature stream", "feature idempotency", "demo", "ours"],
      test: Effect.gen(function* () {
        const app = yield* App
        const id = yield* app.open()
        const read = (headers: Readonly<Record<string, string>>) =>
          app.request("POST", `/sessions/${id}/turn`, {
            headers: { accept: "text/event-stream", ...headers },
            body: { prompt: "/echo x" }
          })
        for (const wrong of ["-1", "1.5", "one"]) {
          Expect.invalid(yield* read({ ...key(), "last-event-id": wrong }), ["header", "last-event-id"])
        }
        Expect.invalid(yield* read({ "last-event-id": "1" }), ["header", "last-event-id"])
        Expect.answer(yield* app.request("GET", `/sessions/${id}`), 200, { turn_count: 0 })
      })
    },
    {
      title: "what is not there any more is event: gap {after, next}: null when none follows, then the answer",
      needs: ["feature stream", "feature idempotency", "demo", "ours"],
      test: Effect.gen(function* () {
        const app = yield* App
        const id = yield* app.open()
        const frames = Expect.frames(
          yield* Stream.mkString(app.stream(id, "/echo x", { ...key(), "last-event-id": "7" }))
        )
        assert.deepEqual(frames[0], { id: undefined, event: "gap", data: { after: 7, next: null } })
        const { body } = Expect.fields(frames[1]?.data, { status: 502 })
        Expect.fields(body, { ok: false, error: Expect.like(/^outcome unknown: /) })
        assert.equal(frames.length, 2)
        Expect.answer(yield* app.request("GET", `/sessions/${id}`), 200, { turn_count: 0 })
      })
    },
    {
      title: "a reader of JSON and readers of the stream share one call",
      needs: ["feature stream", "feature idempotency", "demo"],
      test: Effect.gen(function* () {
        const app = yield* App
        const id = yield* app.open()
        const headers = key()
        const json = app.request("POST", `/sessions/${id}/turn`, { headers, body: { prompt: "/chunks 5 40" } })
        const stream = Effect.map(Stream.mkString(app.stream(id, "/chunks 5 40", headers)), Expect.framesText)
        const [whole, first, second] = yield* Effect.all([json, stream, stream], { concurrency: "unbounded" })
        assert.equal(Expect.textOf(Expect.turn(whole, { turn_index: 1 })), "1 2 3 4 5 ")
        assert.equal(first, second)
        assert.equal(Expect.textOf(Expect.frames(first).map(({ data }) => data)), "1 2 3 4 5 ")
      })
    },
    {
      title: "the client's stream of a call ends with the turn, or the error, that the client reads from its JSON",
      needs: ["feature stream", "feature idempotency", "demo"],
      test: Effect.gen(function* () {
        const app = yield* App
        const notes = yield* app.upload("one\ntwo\n")
        const session = yield* app.client.attach(SessionInfo.sessionId(yield* app.open()))
        const files = [Upload.fileToken(notes)]
        for (const [prompt, options] of [
          ["Remember the word heliotrope.", {}],
          ["What is in the file?", { files }],
          ["/echo ```json\n{}\n```", {}],
          ["/chunks 40", {}],
          ["/fail out of paper", {}]
        ] as const) {
          const keyed = { ...options, key: key()["idempotency-key"] }
          const whole = yield* outcomeOf(session.turn(prompt, { ...keyed, transport: "json" }))
          const streamed = yield* outcomeOf(Turn.run(session.stream(prompt, keyed)))
          assert.deepEqual(streamed, whole, prompt)
        }
      })
    }
  ]
}
