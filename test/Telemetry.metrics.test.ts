import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { Forge, Telemetry } from "../src/index.ts"
import { attributesOf, hello, record, script, seriesOf } from "./support/Recorded.ts"
import * as Recorder from "./support/Recorder.ts"
import { layer } from "./support/MemoryServer.ts"

describe("metrics", () => {
  it.effect("measure durations and tokens, by operation, agent and failure", () =>
    Effect.gen(function* () {
      const { metrics } = yield* record(
        Forge.withSession({ agent: "demo" }, (session) =>
          Effect.all([session.turn("one"), session.turn("two"), Effect.ignore(session.turn("fail 502"))])
        )
      )
      const common = { "gen_ai.provider.name": "clawdforge", "gen_ai.agent.name": "demo" }
      const invoked = { ...common, "gen_ai.operation.name": "invoke_agent" }
      assert.sameDeepMembers(
        seriesOf({ metrics }, "gen_ai.client.operation.duration").map(({ attributes, state }) => [
          attributes,
          state.count
        ]),
        [
          [{ ...common, "gen_ai.operation.name": "create_agent", unit: "s" }, 1],
          [{ ...invoked, unit: "s" }, 2],
          [{ ...invoked, "error.type": "502", unit: "s" }, 1]
        ]
      )
      assert.sameDeepMembers(
        seriesOf({ metrics }, "gen_ai.client.token.usage").map(({ attributes, state }) => [attributes, state.sum]),
        [
          [{ ...invoked, "gen_ai.token.type": "input", unit: "{token}" }, 14],
          [{ ...invoked, "gen_ai.token.type": "output", unit: "{token}" }, 22]
        ]
      )
    })
  )

  it.effect("count open sessions, and failed closes", () =>
    Effect.gen(function* () {
      const usual = script()
      const counts: Array<number | undefined> = []
      const recorder = Recorder.make()
      const count = Effect.map(recorder.metrics, (metrics) => {
        counts.push(seriesOf({ metrics }, "clawdforge.client.sessions.open")[0]?.state.value)
      })
      yield* Effect.gen(function* () {
        yield* Forge.withSession({}, () =>
          Effect.andThen(
            count,
            Forge.withSession({}, () => count)
          )
        )
        yield* count
        yield* Effect.ignore(Forge.withSession({}, () => Effect.fail("no")))
        yield* Effect.exit(Forge.withSession({}, () => Effect.interrupt))
        yield* count
      }).pipe(
        Effect.provide(
          layer((request, nth) =>
            request.method === "DELETE" && request.path.endsWith("s-3")
              ? { status: 401, json: { detail: "invalid token" } }
              : usual(request, nth)
          )
        ),
        Effect.provide(recorder.layer)
      )
      assert.deepStrictEqual(counts, [1, 2, 0, 0])
      const failures = seriesOf({ metrics: yield* recorder.metrics }, "clawdforge.client.session.close.failures")
      assert.deepStrictEqual(
        failures.map(({ state }) => state.count),
        [1]
      )
    })
  )
})

describe("settings of telemetry", () => {
  it.effect("Enabled: false emits no span and no metric, wherever a session is opened and closed", () =>
    Effect.gen(function* () {
      const off = Effect.provideService(Telemetry.Enabled, false)
      const all = Effect.gen(function* () {
        yield* hello
        const session = yield* Forge.attach("s-1" as never)
        yield* session.state
        yield* Effect.ignore(Forge.run("hello"))
      })
      const whole = yield* record(off(all))
      assert.deepStrictEqual([whole.tree, whole.metrics], [[], []])
      // The scope ends where telemetry is on again.
      const opening = yield* record(Effect.scoped(off(Forge.session())))
      assert.deepStrictEqual(opening.metrics, [])
    })
  )

  it.effect("CaptureContent puts prompt and answer where the conventions say, and nowhere else", () =>
    Effect.gen(function* () {
      const { logs, metrics, spans } = yield* record(Effect.provideService(hello, Telemetry.CaptureContent, true))
      const attributes = attributesOf(spans, "invoke_agent demo")
      assert.deepStrictEqual(JSON.parse(String(attributes["gen_ai.input.messages"])), [
        { role: "user", parts: [{ type: "text", content: "hello" }] }
      ])
      assert.deepStrictEqual(JSON.parse(String(attributes["gen_ai.output.messages"])), [
        { role: "assistant", parts: [{ type: "text", content: "the answer" }], finish_reason: "end_turn" }
      ])
      const others = spans.filter(({ name }) => name !== "invoke_agent demo").map(({ attributes }) => [...attributes])
      assert.notMatch(JSON.stringify([others, metrics.map(({ attributes }) => attributes), logs]), /hello|the answer/)
    })
  )

  it.effect("CaptureContent puts the instructions and the result of a run there, too", () =>
    Effect.gen(function* () {
      const { spans } = yield* record(
        Effect.provideService(Forge.run("hello", { system: "Be brief." }), Telemetry.CaptureContent, true),
        { script: () => ({ json: { ok: true, result: { total: 42 }, duration_ms: 1, stop_reason: null } }) }
      )
      const attributes = attributesOf(spans, "invoke_agent")
      assert.deepStrictEqual(JSON.parse(String(attributes["gen_ai.system_instructions"])), [
        { type: "text", content: "Be brief." }
      ])
      assert.include(String(attributes["gen_ai.output.messages"]), String.raw`{\"total\":42}`)
    })
  )
})
