import { assert, describe, it } from "@effect/vitest"
import { Cause, Duration, Effect, Exit, Layer, Schema, Stream } from "effect"
import { ApiError, Forge, ForgeClient, SessionInfo, Turn } from "../../src/index.ts"
import { Fake } from "../../src/testing/index.ts"

describe("Fake", () => {
  it("errors have what the test names, and defaults for the rest", () => {
    assert.deepInclude(Fake.authError({ status: 403 }), { _tag: "AuthError", status: 403 })
    assert.deepInclude(Fake.transportError(), { _tag: "TransportError", outcome: "unknown" })
    assert.deepInclude(Fake.sessionClosed({ by: "client" }), { _tag: "SessionClosed", by: "client" })
    assert.strictEqual(Fake.poolFull("3 seconds").retryAfter?.pipe(Duration.toSeconds), 3)
    assert.strictEqual(Fake.runFailed("out of paper").message, "out of paper")
    assert.strictEqual(Fake.invalid("must be polite").message, "prompt must be polite")
    const tags = ([400, 404, 409, 410, 413, 422, 429, 500, 502, 503] as const).map(
      (status) => Fake.apiError(status).reason._tag
    )
    assert.deepStrictEqual(tags, [
      "Unexpected",
      "NotFound",
      "TokenExists",
      "Unexpected",
      "TooLarge",
      "Invalid",
      "RateLimited",
      "Unexpected",
      "Unexpected",
      "Unexpected"
    ])
  })

  it.effect("errors are those that a program handles", () =>
    Effect.gen(function* () {
      const handled = Effect.fail(Fake.runFailed("out of paper")).pipe(
        Effect.catchIf(ApiError.is(502), ({ reason }) => Effect.succeed(reason._tag))
      )
      assert.strictEqual(yield* handled, "RunFailed")
    })
  )

  it.effect("values can be stored", () =>
    Effect.gen(function* () {
      for (const [codec, value] of [
        [Turn.Turn, Fake.turn("hello")],
        [SessionInfo.LiveState, Fake.liveState({ turnCount: 3 })]
      ] as const) {
        const text = yield* Schema.encodeUnknownEffect(Schema.fromJsonString(codec))(value)
        assert.deepEqual(yield* Schema.decodeEffect(Schema.fromJsonString(codec))(text), value)
      }
      assert.strictEqual(Fake.turn("hello").text, "hello")
      assert.strictEqual(yield* Stream.fromIterable(Fake.parts("hello")).pipe(Turn.texts, Stream.mkString), "hello")
      assert.strictEqual(Fake.structured({ total: 1 }).turn.text, '{"total":1}')
      assert.isTrue(Fake.health().features.includes("stream"))
      assert.deepInclude(Fake.agent({ name: "demo" }), { name: "demo", ready: true })
      assert.strictEqual(Fake.uploadedFile({ size: 3 }).size, 3)
    })
  )

  it.effect("a session has a defect in place of what it was not given", () =>
    Effect.gen(function* () {
      const session = yield* Forge.session()
      assert.strictEqual((yield* session.turn("hello")).text, "HELLO")
      assert.isFalse(yield* session.cancel)
      assert.strictEqual((yield* session.state).id, session.id)
      const exit = yield* Effect.exit(Stream.runDrain(session.stream("hello")))
      assert.include(Exit.isFailure(exit) ? Cause.pretty(exit.cause) : "", "Fake.session was not given stream")
    }).pipe(
      Effect.scoped,
      Effect.provide(
        Layer.mock(ForgeClient.ForgeClient, {
          session: () =>
            Effect.succeed(Fake.session({ turn: (prompt) => Effect.succeed(Fake.turn(prompt.toUpperCase())) }))
        })
      )
    )
  )
})
