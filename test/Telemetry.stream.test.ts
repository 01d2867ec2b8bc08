import { assert, describe, it } from "@effect/vitest"
import { Effect, Stream } from "effect"
import { Forge, type Session, Turn } from "../src/index.ts"
import { attributesOf, record, seriesOf } from "./support/Recorded.ts"
import type { Script } from "./support/ScriptedServer.ts"
import { eventFrames, framesOf, script, stream } from "./support/StreamServer.ts"

const usage = { input_tokens: 7, output_tokens: 11 }
const done = { ok: true, session_id: "s-1", turn_index: 1, stop_reason: "end_turn", duration_ms: 5, usage }
const events = [
  { type: "text", content: "the " },
  { type: "text", content: "answer" }
]

const whole: Script = ({ headers }) =>
  headers.accept?.includes("event-stream") === true ? stream(framesOf({ events, done })) : { json: { ...done, events } }

const recorded = <A, E>(use: (session: Session.Session) => Effect.Effect<A, E>, turn: Script = whole) =>
  record(Forge.withSession({ agent: "demo" }, use), { script: script(turn) })

describe("the telemetry of a streamed turn", () => {
  it.effect("is that of a batch, and has the time to its first part", () =>
    Effect.gen(function* () {
      const batch = yield* recorded((session) => session.turn("x", { transport: "json" }))
      const long = yield* recorded((session) => session.turn("x", { transport: "stream" }))
      const streamed = yield* recorded((session) => Turn.run(session.stream("x")))
      for (const one of [long, streamed]) {
        assert.deepStrictEqual(one.tree, batch.tree)
        for (const name of ["invoke_agent demo", "POST /sessions/{id}/turn"]) {
          assert.deepStrictEqual(attributesOf(one.spans, name), attributesOf(batch.spans, name))
        }
        for (const id of ["gen_ai.client.operation.duration", "gen_ai.client.token.usage"]) {
          assert.deepStrictEqual(
            seriesOf(one, id).map(({ attributes, state }) => [attributes, state.count]),
            seriesOf(batch, id).map(({ attributes, state }) => [attributes, state.count])
          )
        }
      }
      const first = "gen_ai.client.operation.time_to_first_chunk"
      assert.deepStrictEqual(
        seriesOf(streamed, first).map(({ state }) => state.count),
        [1]
      )
      assert.deepStrictEqual(seriesOf(batch, first), [])
    })
  )

  it.effect("says that it was left, and how it failed", () =>
    Effect.gen(function* () {
      const unended = () => stream(eventFrames(events), { hang: true })
      const left = yield* recorded((session) => Stream.runDrain(Stream.take(session.stream("x"), 1)), unended)
      assert.strictEqual(attributesOf(left.spans, "invoke_agent demo")["error.type"], "interrupted")
      const broken = yield* recorded(
        (session) => Effect.ignore(Stream.runDrain(session.stream("x"))),
        () => stream("", { cut: true })
      )
      assert.strictEqual(attributesOf(broken.spans, "invoke_agent demo")["error.type"], "Reset")
      const mine = yield* recorded((session) =>
        Effect.ignore(session.stream("x").pipe(Stream.runForEach(() => Effect.fail("mine"))))
      )
      assert.isUndefined(attributesOf(mine.spans, "invoke_agent demo")["error.type"])
    })
  )
})
