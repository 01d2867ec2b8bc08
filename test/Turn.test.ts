import { assert, describe, it } from "@effect/vitest"
import { Deferred, Duration, Effect, Fiber } from "effect"
import { Forge, Upload } from "../src/index.ts"
import { answers, conversation } from "./support/Conversation.ts"
import { layer } from "./support/MemoryServer.ts"
import { created, type Script, ScriptedServer, turn, wellBehaved } from "./support/ScriptedServer.ts"

/** A server of one session, whose turns are answered with these. */
const oneSession = (...turns: ReadonlyArray<unknown>): Script =>
  answers({
    "POST /sessions": { json: created(1) },
    "POST /sessions/s-1/turn": turns.map((json) => ({ json })),
    "DELETE /sessions/s-1": { json: { ok: true } }
  })

/** The turns that were sent. */
const turns = Effect.map(conversation, (lines) =>
  lines.flatMap((line) => (line.includes("/turn") ? [line.slice(line.indexOf("{"))] : []))
)

const answer = (events: ReadonlyArray<unknown>, more: object = {}) => ({ ...turn("s-1", 1, ""), events, ...more })

describe("seed: turns", () => {
  it.effect("a turn sends files and a timeout, and returns the whole answer", () =>
    Effect.gen(function* () {
      const files = [Upload.fileToken("ff_one"), Upload.fileToken("ff_two-2")]
      const session = yield* Forge.session()
      const got = yield* session.turn("Read both.", { files, timeout: "5 minutes" })
      assert.deepStrictEqual(yield* turns, [`{"prompt":"Read both.","files":["ff_one","ff_two-2"],"timeout_secs":300}`])
      assert.deepStrictEqual(got, {
        sessionId: session.id,
        index: 7,
        text: "Done.",
        events: [{ _tag: "Text", content: "Done." }],
        stopReason: "max_tokens",
        duration: Duration.millis(1234),
        usage: { inputTokens: 10, outputTokens: 20, cachedTokens: 5, totalTokens: 35, costUsd: 0.25 }
      })
    }).pipe(
      Effect.scoped,
      Effect.provide(
        layer(
          oneSession({
            ok: true,
            session_id: "s-1",
            turn_index: 7,
            events: [{ type: "text", content: "Done." }],
            stop_reason: "max_tokens",
            duration_ms: 1234,
            usage: { input_tokens: 10, output_tokens: 20, cached_tokens: 5, total_tokens: 35, cost_usd: 0.25 }
          })
        )
      )
    )
  )

  it.effect("sends no option that was not given, and the prompt unchanged", () =>
    Effect.gen(function* () {
      const session = yield* Forge.session()
      yield* session.turn("hello")
      yield* session.turn("hello", { files: undefined, timeout: undefined })
      yield* session.turn("hello", { files: [] })
      const prompt = ` \n"quotes" \\ \u0000 é 😀 \u2028 </script> \r\n\t `
      yield* session.turn(prompt)
      assert.deepStrictEqual(yield* turns, [
        `{"prompt":"hello","timeout_secs":120}`,
        `{"prompt":"hello","timeout_secs":120}`,
        `{"prompt":"hello","files":[],"timeout_secs":120}`,
        JSON.stringify({ prompt, timeout_secs: 120 })
      ])
    }).pipe(Effect.scoped, Effect.provide(layer(wellBehaved())))
  )

  it.effect("sends the timeout in whole seconds, rounded up, and never 0", () =>
    Effect.gen(function* () {
      const session = yield* Forge.session()
      const given = [0, 1, "1 nano", 999, 1000, 1001, 59_999, "2 minutes", "1 hour", Duration.seconds(0.2)] as const
      for (const timeout of given) yield* session.turn("x", { timeout })
      const sent = (yield* turns).map((body): number => JSON.parse(body).timeout_secs)
      assert.deepStrictEqual(sent, [1, 1, 1, 1, 1, 2, 60, 120, 3600, 1])
    }).pipe(Effect.scoped, Effect.provide(layer(wellBehaved())))
  )

  for (const prompt of ["", " ", "\n\t\r ", "\u00a0\u2003\ufeff"]) {
    it.effect(`an empty prompt is refused without a request: ${JSON.stringify(prompt)}`, () =>
      Effect.gen(function* () {
        const session = yield* Forge.session()
        const error = yield* Effect.flip(session.turn(prompt))
        assert.deepInclude(error, { _tag: "ApiError", status: 422, outcome: "not-sent" })
        assert.deepNestedInclude(error, { "reason.issues": [{ path: ["prompt"], message: "must not be empty" }] })
        assert.strictEqual(error.message, "prompt must not be empty")
        assert.deepStrictEqual(yield* turns, [])
      }).pipe(Effect.scoped, Effect.provide(layer(wellBehaved())))
    )
  }

  for (const token of ["", "ff_", "ff_a/b", "ff_a b", "cf_app", "FF_a", "ff_\n", `ff_${"x".repeat(129)}`]) {
    it.effect(`an invalid file token is refused without a request: ${JSON.stringify(token.slice(0, 12))}`, () =>
      Effect.gen(function* () {
        const session = yield* Forge.session()
        const error = yield* Effect.flip(session.turn("x", { files: [Upload.fileToken(token)] }))
        assert.deepInclude(error, { _tag: "ApiError", status: 422, outcome: "not-sent" })
        assert.strictEqual(error.message, "files.0 must be a file token, ff_…")
        assert.deepStrictEqual(yield* turns, [])
      }).pipe(Effect.scoped, Effect.provide(layer(wellBehaved())))
    )
  }

  describe("the text of a turn", () => {
    const texts: Record<string, readonly [events: ReadonlyArray<unknown>, text: string]> = {
      "is the content of its text events in order, with no separator": [
        [
          { type: "text", content: "one " },
          { type: "tool_call", name: "read", args: {}, result: "two" },
          { type: "text", content: "three\n" },
          { type: "text", content: "four" }
        ],
        "one three\nfour"
      ],
      "leaves out thinking": [
        [
          { type: "thinking", content: "hm" },
          { type: "text", content: "yes" },
          { type: "thinking", content: "hm" }
        ],
        "yes"
      ],
      "takes nothing from a text event without content": [
        [{ type: "text" }, { type: "text", content: null }, { type: "text", content: "a" }],
        "a"
      ],
      "takes nothing from a text event whose content is no string": [
        [
          { type: "text", content: 5 },
          { type: "text", content: ["a"] },
          { type: "text", content: { text: "a" } }
        ],
        ""
      ],
      "takes nothing from an entry that is no object": [
        ["a", 1, null, true, ["text"], { type: "text", content: "b" }],
        "b"
      ],
      "takes nothing from an event without a type or of an unknown type": [
        [{ content: "a" }, { type: "poem", content: "b" }, { type: 5, content: "c" }],
        ""
      ],
      'is "" where there are no events': [[], ""],
      'is "" where there are no text events': [[{ type: "thinking", content: "hm" }], ""]
    }
    for (const [name, [events, text]] of Object.entries(texts)) {
      it.effect(name, () =>
        Effect.gen(function* () {
          const got = yield* Forge.withSession({}, (session) => session.turn("x"))
          assert.strictEqual(got.text, text)
        }).pipe(Effect.provide(layer(oneSession(answer(events)))))
      )
    }

    it.effect("keeps an entry that it cannot read unchanged", () => {
      const odd = ["a", 1, null, ["text"], { type: "text", content: 5, more: [1] }, { type: "poem", lines: ["b"] }, {}]
      return Effect.gen(function* () {
        const got = yield* Forge.withSession({}, (session) => session.turn("x"))
        assert.deepStrictEqual(
          got.events,
          odd.map((raw) => ({ _tag: "Unknown", raw }))
        )
      }).pipe(Effect.provide(layer(oneSession(answer(odd)))))
    })
  })

  it.effect("a turn has the server's stop reason, or null", () => {
    const reasons = ["end_turn", "max_turn_requests", "refusal", "cancelled", "something new", null]
    return Effect.gen(function* () {
      const session = yield* Forge.session()
      for (const reason of reasons) assert.strictEqual((yield* session.turn("x")).stopReason, reason)
      assert.strictEqual((yield* session.turn("x")).stopReason, null)
    }).pipe(
      Effect.scoped,
      Effect.provide(
        layer(
          oneSession(
            ...reasons.map((stop_reason) => answer([], { stop_reason })),
            answer([], { stop_reason: undefined })
          )
        )
      )
    )
  })

  it.effect("the turns of a session are sent one at a time, and other sessions do not wait", () => {
    const release = Deferred.makeUnsafe<void>()
    const usual = wellBehaved()
    const script: Script = async (request, nth) => {
      if (request.body.includes("held")) await Effect.runPromise(Deferred.await(release))
      return usual(request, nth)
    }
    return Effect.gen(function* () {
      const one = yield* Forge.session()
      const other = yield* Forge.session()
      const first = yield* Effect.forkChild(one.turn("held"), { startImmediately: true })
      const second = yield* Effect.forkChild(one.turn("second"), { startImmediately: true })
      yield* ScriptedServer.use(({ arrival }) => arrival(3))
      yield* other.turn("elsewhere")
      yield* other.turn("elsewhere again")
      const prompts = Effect.map(turns, (bodies) => bodies.map((body): string => JSON.parse(body).prompt))
      assert.deepStrictEqual(yield* prompts, ["held", "elsewhere", "elsewhere again"])
      yield* Deferred.succeed(release, undefined)
      yield* Fiber.joinAll([first, second])
      assert.deepStrictEqual((yield* prompts).at(-1), "second")
    }).pipe(Effect.scoped, Effect.provide(layer(script)))
  })

  it.effect("a turn after close fails without a request", () =>
    Effect.gen(function* () {
      const session = yield* Forge.session()
      yield* session.close
      const error = yield* Effect.flip(session.turn("late"))
      assert.deepInclude(error, { _tag: "SessionClosed", sessionId: session.id, by: "client" })
      assert.deepStrictEqual(yield* turns, [])
    }).pipe(Effect.scoped, Effect.provide(layer(wellBehaved())))
  )

  it.live("a failed turn is not repeated", () =>
    Effect.gen(function* () {
      const session = yield* Forge.session()
      const failed = yield* Effect.flip(session.turn("x"))
      assert.deepInclude(failed, { _tag: "ApiError", status: 502, outcome: "acted", message: "the agent exited" })
      assert.deepNestedInclude(failed, { "reason._tag": "RunFailed", "reason.stopReason": "error" })
      const reset = yield* Effect.flip(session.turn("y"))
      assert.deepNestedInclude(reset, { _tag: "TransportError", "reason._tag": "Reset", outcome: "unknown" })
      assert.strictEqual((yield* turns).length, 2)
    }).pipe(
      Effect.scoped,
      Effect.provide(
        layer(
          answers({
            "POST /sessions": { json: created(1) },
            "GET /healthz": { json: { ok: true, claude_present: true, claude_version: null } },
            "POST /sessions/s-1/turn": [
              {
                status: 502,
                json: { ok: false, error: "the agent exited", stderr: "…", duration_ms: 5, stop_reason: "error" }
              },
              "reset"
            ],
            "DELETE /sessions/s-1": { json: { ok: true } }
          })
        )
      )
    )
  )
})
