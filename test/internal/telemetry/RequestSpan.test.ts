import { assert, describe, it } from "@effect/vitest"
import { Context, Effect, Exit, References, Tracer } from "effect"
import { Telemetry } from "../../../src/index.ts"
import { hello, record, type Test } from "../../support/Recorded.ts"
import { ScriptedServer } from "../../support/ScriptedServer.ts"

describe("traceparent", () => {
  const received = ScriptedServer.useSync(({ received }) => received.map(({ headers }) => headers))
  const headersOf = (test: Test<unknown, unknown>) => record(Effect.andThen(test, received))

  it.effect("is sent with each request, with the ids of its span, and no other tracing header", () =>
    Effect.gen(function* () {
      const { exit, spans } = yield* headersOf(hello)
      const headers = Exit.isSuccess(exit) ? exit.value : []
      assert.deepStrictEqual(
        headers.map(({ traceparent }) => traceparent),
        spans.filter(({ name }) => name.includes("/")).map(({ spanId, traceId }) => `00-${traceId}-${spanId}-01`)
      )
      for (const one of headers) {
        assert.match(String(one["traceparent"]), /^00-(?!0{32})[0-9a-f]{32}-(?!0{16})[0-9a-f]{16}-01$/)
        assert.deepStrictEqual(
          Object.keys(one).filter((name) => /^b3|x-b3|tracestate|baggage/.test(name)),
          []
        )
      }
    })
  )

  it.effect("marks a trace that is not sampled", () =>
    Effect.gen(function* () {
      const outside = Tracer.externalSpan({
        traceId: "0af7651916cd43dd8448eb211c80319c",
        spanId: "b7ad6b7169203331",
        sampled: false
      })
      const { exit } = yield* headersOf(Effect.withParentSpan(hello, outside))
      const headers = Exit.isSuccess(exit) ? exit.value : []
      assert.isNotEmpty(headers)
      for (const { traceparent } of headers) {
        assert.match(String(traceparent), /^00-0af7651916cd43dd8448eb211c80319c-[0-9a-f]{16}-00$/)
      }
    })
  )

  it.effect("is not sent by a client that is not to propagate traces; its spans are the same", () =>
    Effect.gen(function* () {
      const test = Effect.andThen(hello, received)
      const { exit, spans } = yield* record(test, { options: { propagateTrace: false } })
      const headers = Exit.isSuccess(exit) ? exit.value : []
      assert.lengthOf(headers, 3)
      for (const one of headers) assert.notProperty(one, "traceparent")
      assert.lengthOf(
        spans.filter(({ name }) => name.includes("/")),
        3
      )
    })
  )

  const off: Record<string, Context.Context<never>> = {
    "telemetry is off": Context.make(Telemetry.Enabled, false),
    "tracing is off": Context.make(References.TracerEnabled, false)
  }
  for (const [name, context] of Object.entries(off)) {
    it.effect(`is not sent where ${name}`, () =>
      Effect.gen(function* () {
        const { exit } = yield* headersOf(hello.pipe(Effect.withSpan("own"), Effect.provideContext(context)))
        const headers = Exit.isSuccess(exit) ? exit.value : []
        assert.lengthOf(headers, 3)
        for (const one of headers) assert.notProperty(one, "traceparent")
      })
    )
  }
})
