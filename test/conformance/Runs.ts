/**
 * WIRE.md, "POST /run", also as an event stream.
 */
import { Deferred, Effect, Stream } from "effect"
import { strict as assert } from "node:assert"
import type { Group } from "./Case.ts"
import * as Expect from "./Expect.ts"
import { key } from "./Key.ts"
import { App } from "./Server.ts"

const run = Effect.fnUntraced(function* (body: unknown, query = "") {
  const app = yield* App
  return yield* app.request("POST", `/run${query}`, { body })
})

/** The result of a run that succeeds. */
const resultOf = (body: unknown) =>
  Effect.map(run(body), (answer) => Expect.answer(answer, 200, { ok: true })["result"])

const others = ["model", "system", "system_mode", "effort", "files", "timeout_secs"] as const

export const Runs: Group = {
  name: "POST /run",
  cases: [
    {
      title: "200 has EXACTLY four keys: ok: true, result, duration_ms: int, stop_reason: string|null",
      needs: ["demo"],
      test: Effect.gen(function* () {
        const answer = yield* run({ prompt: "/echo hello" })
        const body = Expect.answer(answer, 200, {
          ok: true,
          result: "hello",
          duration_ms: Expect.isCount,
          stop_reason: Expect.orNull(Expect.isString)
        })
        assert.deepEqual(Object.keys(body).toSorted(), ["duration_ms", "ok", "result", "stop_reason"])
      })
    },
    {
      title:
        "result is the final text with a surrounding code fence removed, JSON-decoded where it decodes, else the string",
      needs: ["demo"],
      test: Effect.gen(function* () {
        const app = yield* App
        const results: ReadonlyArray<readonly [string, unknown]> = [
          ['```json\n{"a": [1]}\n```', { a: [1] }],
          ["```\n[true, null]\n```", [true, null]],
          ["```\nno JSON\n```", "no JSON"],
          ["42", 42],
          ['"text"', "text"],
          ["null", null],
          ["{not JSON}", "{not JSON}"]
        ]
        yield* Effect.forEach(
          results,
          Effect.fnUntraced(function* ([text, result]) {
            Expect.answer(yield* app.request("POST", "/run", { body: { prompt: `/echo ${text}` } }), 200, { result })
          }),
          { discard: true }
        )
      })
    },
    {
      title: "prompt: required, not empty, not only white space",
      test: Effect.gen(function* () {
        for (const body of [
          {},
          { prompt: "" },
          { prompt: " \n\t" },
          { prompt: null },
          { prompt: 1 },
          { prompt: ["x"] }
        ]) {
          Expect.invalid(yield* run(body), ["body", "prompt"])
        }
      })
    },
    {
      title: "every other field may be null, which is as if it were not given",
      needs: ["demo"],
      test: Effect.gen(function* () {
        assert.equal(
          yield* resultOf({ ...Object.fromEntries(others.map((name) => [name, null])), prompt: "/echo ok" }),
          "ok"
        )
      })
    },
    {
      title: "model and system: not empty when given",
      test: Effect.gen(function* () {
        for (const name of ["model", "system"]) {
          Expect.invalid(yield* run({ prompt: "x", [name]: "" }), ["body", name])
          Expect.invalid(yield* run({ prompt: "x", [name]: 7 }), ["body", name])
        }
      })
    },
    {
      title: "system_mode: append or replace; effort: low, medium, high, xhigh or max",
      test: Effect.gen(function* () {
        for (const [name, values] of [
          ["system_mode", ["prefix", "APPEND", "", 1]],
          ["effort", ["extreme", "Low", "", 1]]
        ] as const) {
          for (const value of values) Expect.invalid(yield* run({ prompt: "x", [name]: value }), ["body", name])
        }
      })
    },
    {
      title: "system is appended to the agent's own system prompt, or replaces it; append by default",
      needs: ["demo"],
      test: Effect.gen(function* () {
        const system = "Speak Latin."
        const appended = "You are the demo agent.\n\nSpeak Latin."
        assert.equal(yield* resultOf({ prompt: "/system", system }), appended)
        assert.equal(yield* resultOf({ prompt: "/system", system, system_mode: "append" }), appended)
        assert.equal(yield* resultOf({ prompt: "/system", system, system_mode: "replace" }), system)
      })
    },
    {
      title: "model and effort are the agent's",
      needs: ["demo"],
      test: Effect.gen(function* () {
        assert.equal(yield* resultOf({ prompt: "/settings", model: "demo-terse", effort: "max" }), "demo-terse, max")
      })
    },
    {
      title: "files: an array of ff_… or null",
      test: Effect.gen(function* () {
        for (const files of ["ff_x", {}, [1], ["x"], ["../ff_x"], ["ff_"]]) {
          Expect.invalid(yield* run({ prompt: "x", files }), ["body", "files"])
        }
      })
    },
    {
      title: "timeout_secs: an int, 5 to 600, else 422; never a boolean",
      test: Effect.gen(function* () {
        for (const timeout_secs of [4, 0, -1, 1_000_000, true, false, "30", 5.5, [], {}]) {
          Expect.invalid(yield* run({ prompt: "x", timeout_secs }), ["body", "timeout_secs"])
        }
      })
    },
    {
      title: "a failed run is 502 with ok: false, error, stderr, duration_ms and stop_reason at the top level",
      needs: ["demo"],
      test: Effect.gen(function* () {
        Expect.failed(yield* run({ prompt: "/fail out of paper" }), { error: Expect.like(/out of paper/) })
        Expect.failed(yield* run({ prompt: "/exit 7" }), { stderr: Expect.like(/exiting with 7/) })
      })
    },
    {
      title: "a run that outlives its timeout fails the same way, with stop_reason timeout",
      needs: ["demo", "ours"],
      test: Effect.gen(function* () {
        const { duration_ms: duration } = Expect.failed(yield* run({ prompt: "/wait", timeout_secs: 5 }), {
          stop_reason: "timeout"
        })
        assert(Number(duration) >= 5_000)
      })
    },
    {
      title: "an unknown file token is 404 in a run",
      test: Effect.gen(function* () {
        Expect.refused(yield* run({ prompt: "x", files: [`ff_${"x".repeat(32)}`] }), 404)
      })
    },
    {
      title: "the client reads a run: its result, its time, why it ended; and its failure as the 502 that it is",
      needs: ["demo"],
      test: Effect.gen(function* () {
        const { client } = yield* App
        const run = yield* client.run('/echo {"n": 1}', { timeout: "1 minute", effort: "low" })
        assert.deepEqual([run.result, run.stopReason], [{ n: 1 }, "end_turn"])
        const failed = yield* Effect.flip(client.run("/fail out of paper"))
        assert.equal(failed._tag, "ApiError")
        assert.equal(failed.status, 502)
      })
    }
  ]
}

const events = { accept: "text/event-stream" }

export const RunStream: Group = {
  name: "What our server adds: run_stream",
  cases: [
    {
      title:
        "POST /run with Accept: text/event-stream: the same frames, done with the run's 200 body: exactly four keys",
      needs: ["feature run_stream", "demo"],
      test: Effect.gen(function* () {
        const app = yield* App
        const read = (query = "") =>
          app
            .read("POST", `/run${query}`, { body: { prompt: "/chunks 3" }, headers: events })
            .pipe(Stream.mkString, Effect.map(Expect.frames))
        const frames = yield* read()
        for (const [at, { data, event, id }] of frames.slice(0, -1).entries()) {
          assert.deepEqual([data["type"], id], [event, at + 1])
        }
        assert.deepEqual(
          frames.filter(({ event }) => event === "text").map(({ data }) => data["content"]),
          ["1 ", "2 ", "3 "]
        )
        const done = frames.at(-1)
        assert.equal(done?.event, "done")
        Expect.fields(done?.data, {
          ok: true,
          result: "1 2 3 ",
          duration_ms: Expect.isCount,
          stop_reason: Expect.orNull(Expect.isString)
        })
        const keys = ["duration_ms", "ok", "result", "stop_reason"]
        assert.deepEqual(Object.keys(done?.data ?? {}).toSorted(), keys)
        const asked = (yield* read("?usage=true")).at(-1)
        assert.deepEqual(Object.keys(asked?.data ?? {}).toSorted(), [...keys, "usage"])
      })
    },
    {
      title: "takes the same key and Last-Event-ID, while it runs and after it ended, and shares the call with JSON",
      needs: ["feature run_stream", "feature idempotency", "demo"],
      test: Effect.gen(function* () {
        const app = yield* App
        const headers = key()
        const body = { prompt: "/chunks 5 40" }
        const read = (after: number) =>
          app
            .read("POST", "/run", { body, headers: { ...headers, ...events, "last-event-id": String(after) } })
            .pipe(Stream.mkString, Effect.map(Expect.framesText))
        const json = app.request("POST", "/run", { headers, body })
        // One that goes on after an event has to come after the call.
        const begun = yield* Deferred.make<void>()
        const first = app.read("POST", "/run", { body, headers: { ...headers, ...events } }).pipe(
          Stream.tap(() => Deferred.succeed(begun, undefined)),
          Stream.mkString,
          Effect.map(Expect.framesText)
        )
        const [answer, whole, second] = yield* Effect.all(
          [json, first, Effect.andThen(Deferred.await(begun), read(2))],
          { concurrency: "unbounded" }
        )
        assert.equal(second, whole.slice(whole.indexOf("id: 3\n")))
        const frames = Expect.frames(whole)
        assert.deepEqual(frames.at(-1)?.data, Expect.answer(answer, 200, { result: "1 2 3 4 5 " }))
        for (const after of [0, 1, 4]) {
          assert.equal(yield* read(after), whole.slice(whole.indexOf(`id: ${after + 1}\n`)))
        }
        assert.equal(yield* read(1_000), whole.slice(whole.indexOf("event: done")))
      })
    },
    {
      title: "a failed run: an ordinary status before the first event, event: error with {status, body} after it",
      needs: ["feature run_stream", "demo"],
      test: Effect.gen(function* () {
        const app = yield* App
        const stream = (body: object) => app.request("POST", "/run", { body, headers: events })
        Expect.failed(yield* stream({ prompt: "/fail out of paper" }), { error: Expect.like(/out of paper/) })
        Expect.invalid(yield* stream({ prompt: "x", timeout_secs: 4 }), ["body", "timeout_secs"])
        const last = Expect.frames((yield* stream({ prompt: "/exit 3" })).text).at(-1)
        assert.equal(last?.event, "error")
        const { body } = Expect.fields(last?.data, { status: 502 })
        Expect.fields(body, { ok: false, error: Expect.isString, stderr: Expect.isString, stop_reason: "error" })
      })
    }
  ]
}
