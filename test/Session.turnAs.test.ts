import { assert, describe, it } from "@effect/vitest"
import { Context, DateTime, Duration, Effect, Fiber, Redacted, Schema, SchemaGetter, Stream } from "effect"
import { TestClock } from "effect/testing"
import { Forge, type Session, Turn } from "../src/index.ts"
import { layer } from "./support/MemoryServer.ts"
import { type Answer, type Script, ScriptedServer, turn } from "./support/ScriptedServer.ts"
import { eventFrames, script, stream } from "./support/StreamServer.ts"

const Invoice = Schema.Struct({ total: Schema.Finite, due: Schema.DateTimeUtc })
const due = "2026-12-24T00:00:00.000Z"
const good = JSON.stringify({ total: 42, due })
const value = { total: 42, due: DateTime.makeUnsafe(due) }

const said = (text: string, more: object = {}): Answer => ({ json: { ...turn("s-1", 1, text), ...more } })

/** Runs with a session whose turns are answered in order, the last again and again. */
const withAnswers = <A, E>(
  answers: ReadonlyArray<Answer>,
  use: (session: Session.Session) => Effect.Effect<A, E, ScriptedServer>
) => {
  let turns = 0
  const next: Script = () => answers[Math.min(turns++, answers.length - 1)] ?? assert.fail("no answer")
  return Forge.withSession({ agent: "demo" }, use).pipe(Effect.provide(layer(script(next), { retry: false })))
}

const sent = Effect.map(ScriptedServer, ({ received }) =>
  received
    .filter(({ path }) => path.endsWith("/turn"))
    .map(({ body, headers }) => ({
      ...(JSON.parse(body) as { readonly prompt: string; readonly timeout_secs: number }),
      key: headers["idempotency-key"]
    }))
)

describe("an answer that is decoded", () => {
  const forms: Readonly<Record<string, string>> = {
    whole: good,
    fenced: `Here it is:\n\`\`\`json\n${good}\n\`\`\`\n`,
    "fenced without a language": `\`\`\`\n${good}\n\`\`\``,
    bare: `The invoice is ${good}, as far as I can see.`,
    "the last of several": `First {"total": 1, "due": "${due}"}, or rather ${good}`,
    "the last that fits": `${good} and {"total": "unknown"} and [1, 2]`,
    "beside braces that are none": `Use { braces } or "{": ${good} }{`,
    "with braces in its text": `\`\`\`json\n{"note": "a } in \\"text\\"", "total": 42, "due": "${due}"}\n\`\`\``
  }
  for (const [name, text] of Object.entries(forms)) {
    it.effect(`is found ${name}`, () =>
      withAnswers(
        [said(text, { usage: { input_tokens: 3 } })],
        Effect.fnUntraced(function* (session) {
          const structured = yield* session.turnAs(Invoice, "Read the invoice.")
          assert.deepStrictEqual(structured.value, value)
          assert.strictEqual(structured.attempts, 1)
          assert.strictEqual(structured.turn.text, text)
          assert.strictEqual(structured.usage?.inputTokens, 3)
          const [asked] = yield* sent
          assert.match(asked?.prompt ?? "", /^Read the invoice\.\n\n.*JSON Schema:\n\n```json\n.*"total".*\n```$/s)
        })
      )
    )
  }

  it.effect("may be a scalar, and is decoded with transformations, classes and services", () => {
    class Rate extends Context.Service<Rate, number>()("test/Rate") {}
    class Point extends Schema.Class<Point>("Point")({ x: Schema.Finite }) {}
    const Converted = Schema.Finite.pipe(
      Schema.decodeTo(Schema.Finite, {
        decode: SchemaGetter.transformEffect((euros: number) => Effect.map(Rate, (rate) => euros * rate)),
        encode: SchemaGetter.transform((cents: number) => cents)
      })
    )
    return withAnswers(
      [said("42"), said('{"x": 1}'), said('"cf_secret"')],
      Effect.fnUntraced(function* (session) {
        const cents = yield* Effect.provideService(session.turnAs(Converted, "How much?"), Rate, 100)
        assert.strictEqual(cents.value, 4200)
        assert.instanceOf((yield* session.turnAs(Point, "Where?")).value, Point)
        const token = yield* session.turnAs(Schema.Redacted(Schema.String), "Which?")
        assert.strictEqual(Redacted.value(token.value), "cf_secret")
      })
    )
  })
})

describe("an answer that does not match", () => {
  it.effect("goes back to the agent with its error, in a turn of its own key", () =>
    withAnswers(
      [
        said("I do not know.", { usage: { input_tokens: 1 } }),
        said('{"total": "much"}', { usage: { input_tokens: 2 } }),
        said(good, { usage: { input_tokens: 4, output_tokens: 8 } })
      ],
      Effect.fnUntraced(function* (session) {
        const { attempts, usage, value: decoded } = yield* session.turnAs(Invoice, "Read it.", { key: "invoice-7" })
        assert.deepStrictEqual(decoded, value)
        assert.strictEqual(attempts, 3)
        assert.deepInclude(usage, { inputTokens: 7, outputTokens: 8 })
        const [, second, third] = yield* sent
        assert.match(second?.prompt ?? "", /^Your answer does not match the JSON Schema: there is no JSON in it\n/)
        assert.match(third?.prompt ?? "", /"total"/)
        assert.deepStrictEqual(
          (yield* sent).map(({ key }) => key),
          ["invoice-7", "invoice-7.2", "invoice-7.3"]
        )
      })
    )
  )

  it.effect("is OutputMismatch once it has been repaired so often, with every answer, which no print shows", () =>
    withAnswers(
      [said("no"), said("nein"), said("non")],
      Effect.fnUntraced(function* (session) {
        const answers = yield* session.turnAs(Invoice, "Read it.").pipe(
          Effect.flip,
          Effect.tap((error) => {
            assert.deepInclude(error, { _tag: "ApiError", status: 502, outcome: "acted" })
            assert.notInclude(JSON.stringify(error) + String(error), "nein")
            assert.match(error.message, /after 3 attempts$/)
            return Effect.void
          }),
          Effect.andThen(
            session
              .turnAs(Invoice, "Read it.", { repairs: 0 })
              .pipe(Effect.catchReason("ApiError", "OutputMismatch", ({ attempts }) => Effect.succeed(attempts)))
          )
        )
        assert.isArray(answers)
        if (Array.isArray(answers))
          assert.deepStrictEqual(
            answers.map(({ text }) => Redacted.value(text)),
            ["non"]
          )
        assert.lengthOf(yield* sent, 4)
      })
    )
  )

  for (const stop_reason of ["refusal", "cancelled", "max_tokens"]) {
    it.effect(`is not repaired after ${stop_reason}`, () =>
      withAnswers(
        [said("no", { stop_reason })],
        Effect.fnUntraced(function* (session) {
          const error = yield* Effect.flip(session.turnAs(Invoice, "Read it."))
          assert.deepNestedInclude(error, { "reason._tag": "OutputMismatch" })
          assert.lengthOf(yield* sent, 1)
        })
      )
    )
  }

  it.effect("has one timeout for all attempts, and no other turn of the session comes between", () => {
    let turns = 0
    const slow: Script = async () => {
      turns++
      return said(turns < 3 ? "no" : good)
    }
    return Forge.withSession({ agent: "demo" }, (session) =>
      Effect.gen(function* () {
        const structured = yield* Effect.forkChild(session.turnAs(Invoice, "Read it.", { timeout: "90 seconds" }))
        const other = yield* Effect.forkChild(session.turn("between?"))
        yield* TestClock.adjust(0)
        yield* Fiber.join(structured)
        yield* Fiber.join(other)
        const prompts = (yield* sent).map(({ prompt }) => prompt.slice(0, 4))
        assert.deepStrictEqual(prompts, ["Read", "Your", "Your", "betw"])
        assert.deepStrictEqual(
          (yield* sent).slice(0, 3).map(({ timeout_secs }) => timeout_secs),
          [90, 90, 90]
        )
      })
    ).pipe(Effect.provide(layer(script(slow), { retry: false })))
  })

  it.effect("is given up when its time is over", () =>
    Effect.gen(function* () {
      const { promise, resolve } = Promise.withResolvers<Answer>()
      const held: Script = () => promise
      yield* Forge.withSession({ agent: "demo" }, (session) =>
        Effect.gen(function* () {
          const fiber = yield* Effect.forkChild(
            Effect.flip(session.turnAs(Invoice, "Read it.", { timeout: Duration.seconds(10) }))
          )
          yield* TestClock.adjust("9500 millis")
          resolve(said("no"))
          const error = yield* Fiber.join(fiber)
          assert.deepNestedInclude(error, { "reason._tag": "OutputMismatch" })
          assert.lengthOf(yield* sent, 1)
        })
      ).pipe(Effect.provide(layer(script(held), { retry: false })))
    })
  )
})

describe("a turn whose answer is decoded", () => {
  it.effect("is cancelled by the key of the attempt that is interrupted", () => {
    let turns = 0
    const silent: Script = () => (++turns === 1 ? said("no") : "silence")
    return Forge.withSession({ agent: "demo" }, (session) =>
      Effect.gen(function* () {
        const { arrival, received } = yield* ScriptedServer
        const fiber = yield* Effect.forkChild(session.turnAs(Invoice, "Read it.", { key: "k" }))
        yield* arrival(3)
        yield* Fiber.interrupt(fiber)
        yield* arrival(5)
        const cancel = received.find(({ path }) => path.endsWith("/cancel"))
        assert.strictEqual(cancel?.headers["idempotency-key"], "k.2")
      })
    ).pipe(Effect.provide(layer(script(silent), { retry: false })))
  })

  it.effect("is refused where it would wait for itself, and where its input is wrong", () =>
    Forge.withSession({ agent: "demo" }, (session) =>
      Effect.gen(function* () {
        const own = session.stream("x").pipe(Stream.runForEach(() => session.turnAs(Invoice, "y")))
        for (const refused of [
          own,
          session.turnAs(Invoice, " "),
          session.turnAs(Invoice, "x", { repairs: -1 }),
          session.turnAs(Invoice, "x", { repairs: 11 })
        ]) {
          assert.deepInclude(yield* Effect.flip(refused), { status: 422, outcome: "not-sent" })
        }
      })
    ).pipe(
      Effect.provide(
        layer(
          script(() => stream(eventFrames([{ type: "text", content: "a" }]), { hang: true })),
          { retry: false }
        )
      )
    )
  )

  it("sums usages up as far as they are known", () => {
    const total = [{ inputTokens: 1 }, {}, { inputTokens: 2, costUsd: 0.5 }].reduce(Turn.UsageReducerSum.combine, {})
    assert.deepStrictEqual(total, { inputTokens: 3, costUsd: 0.5 })
  })
})
