import { assert, describe, it } from "@effect/vitest"
import { Duration, Effect, Redacted } from "effect"
import { ApiError, Forge, Upload } from "../src/index.ts"
import { answers, conversation, failing } from "./support/Conversation.ts"
import { layer } from "./support/MemoryServer.ts"

const ran = (result: unknown, more: object = {}) => ({
  ok: true,
  result,
  duration_ms: 250,
  stop_reason: "end_turn",
  ...more
})

/** A server that answers its runs with these. */
const runs = (...json: ReadonlyArray<unknown>) =>
  layer(answers({ "POST /run?usage=true": json.map((json) => ({ json })) }), { retry: false })

describe("seed: runs", () => {
  it.effect("sends the prompt and the timeout, and no option that was not given", () =>
    Effect.gen(function* () {
      yield* Forge.run("Say hello.")
      yield* Forge.run("Say hello.", {
        model: undefined,
        system: undefined,
        systemMode: undefined,
        effort: undefined,
        files: undefined,
        timeout: undefined
      })
      assert.deepStrictEqual(yield* conversation, [
        `POST /run?usage=true {"prompt":"Say hello.","timeout_secs":120}`,
        `POST /run?usage=true {"prompt":"Say hello.","timeout_secs":120}`
      ])
    }).pipe(Effect.provide(runs(ran("hello"))))
  )

  it.effect("sends every option", () =>
    Effect.gen(function* () {
      yield* Forge.run("Sum it up.", {
        model: "opus",
        system: "Be brief.",
        systemMode: "replace",
        effort: "xhigh",
        files: [Upload.fileToken("ff_a"), Upload.fileToken("ff_b")],
        timeout: "90 seconds"
      })
      const [line = ""] = yield* conversation
      assert.deepStrictEqual(JSON.parse(line.slice("POST /run?usage=true ".length)), {
        prompt: "Sum it up.",
        model: "opus",
        system: "Be brief.",
        system_mode: "replace",
        effort: "xhigh",
        files: ["ff_a", "ff_b"],
        timeout_secs: 90
      })
    }).pipe(Effect.provide(runs(ran("brief"))))
  )

  it.effect("sends each effort and each system mode by its name", () =>
    Effect.gen(function* () {
      for (const effort of ["low", "medium", "high", "xhigh", "max"] as const) yield* Forge.run("x", { effort })
      for (const systemMode of ["append", "replace"] as const) yield* Forge.run("x", { system: "y", systemMode })
      const bodies = (yield* conversation).map((line) => JSON.parse(line.slice("POST /run?usage=true ".length)))
      assert.deepStrictEqual(
        bodies.map(({ effort, system_mode }): string => effort ?? system_mode),
        ["low", "medium", "high", "xhigh", "max", "append", "replace"]
      )
    }).pipe(Effect.provide(runs(ran(null))))
  )

  it.effect("needs only the four keys of the answer", () =>
    Effect.gen(function* () {
      assert.deepStrictEqual(yield* Forge.run("x"), {
        result: { total: 42, lines: [1, null, "a"] },
        duration: Duration.millis(250),
        stopReason: "end_turn"
      })
      assert.deepInclude(yield* Forge.run("x"), { result: null, stopReason: null })
      assert.deepInclude(yield* Forge.run("x"), { result: "plain words", usage: { inputTokens: 3 } })
    }).pipe(
      Effect.provide(
        runs(
          ran({ total: 42, lines: [1, null, "a"] }),
          ran(null, { stop_reason: null }),
          ran("plain words", { usage: { input_tokens: 3 } })
        )
      )
    )
  )

  it.effect("rounds milliseconds up to whole seconds, never to 0", () =>
    Effect.gen(function* () {
      for (const timeout of [0, 1, 1000, 1001, "1500 millis", "10 minutes"] as const) yield* Forge.run("x", { timeout })
      assert.deepStrictEqual(
        (yield* conversation).map(
          (line): number => JSON.parse(line.slice("POST /run?usage=true ".length)).timeout_secs
        ),
        [1, 1, 1, 2, 2, 600]
      )
    }).pipe(Effect.provide(runs(ran(""))))
  )

  it.effect("refuses an empty prompt, model or system prompt without a request", () =>
    Effect.gen(function* () {
      const refused = [
        Forge.run(" \n"),
        Forge.run("x", { model: "" }),
        Forge.run("x", { model: "no spaces" }),
        Forge.run("x", { system: " " }),
        Forge.run("x", { files: [Upload.fileToken("cf_app")] })
      ]
      for (const run of refused) {
        const { error, sent } = yield* failing(run)
        assert.deepInclude(error, { _tag: "ApiError", status: 422, outcome: "not-sent" })
        assert.deepStrictEqual(sent, [])
      }
    }).pipe(Effect.provide(runs(ran(""))))
  )

  it.effect("fails with ApiError<502> and the agent's error, and is not repeated", () =>
    Effect.gen(function* () {
      const { error, sent } = yield* failing(Forge.run("x"))
      if (!ApiError.is(502)(error) || error.reason._tag !== "RunFailed") return assert.fail(String(error))
      assert.strictEqual(error.outcome, "acted")
      assert.strictEqual(error.message, "the agent exited with 1")
      assert.strictEqual(error.reason.error, "the agent exited with 1")
      assert.strictEqual(Redacted.value(error.reason.stderr), "last words")
      assert.deepStrictEqual(error.reason.duration, Duration.millis(7))
      assert.strictEqual(error.reason.stopReason, "timeout")
      assert.strictEqual(sent.length, 1)
    }).pipe(
      Effect.provide(
        layer(
          answers({
            "POST /run?usage=true": {
              status: 502,
              json: {
                ok: false,
                error: "the agent exited with 1",
                stderr: "last words",
                duration_ms: 7,
                stop_reason: "timeout"
              }
            }
          })
        )
      )
    )
  )

  it.effect("fails with NotFound for an unknown file token", () =>
    Effect.gen(function* () {
      const error = yield* Effect.flip(Forge.run("x", { files: [Upload.fileToken("ff_gone")] }))
      assert.deepNestedInclude(error, { status: 404, "reason._tag": "NotFound", "reason.resource": "file" })
    }).pipe(
      Effect.provide(layer(answers({ "POST /run?usage=true": { status: 404, json: { detail: "file not found" } } })))
    )
  )
})
