import { assert, describe, it } from "@effect/vitest"
import { Duration, Effect, Fiber, Stream } from "effect"
import { TestClock } from "effect/testing"
import { Forge, ForgeError, TransportError, type Turn } from "../../../src/index.ts"
import * as Retry from "../../../src/internal/exchange/Retry.ts"
import * as StreamedCall from "../../../src/internal/exchange/StreamedCall.ts"
import { layer } from "../../support/MemoryServer.ts"
import { type Script, ScriptedServer } from "../../support/ScriptedServer.ts"
import { framesOf, lastOf, script, stream } from "../../support/StreamServer.ts"

/** A turn of each kind of event that a decoder keeps state for, with text of more than one byte per character. */
const turn = {
  events: [
    { type: "thinking", content: "Où?" },
    { type: "text", content: "Grüße " },
    { type: "tool_call", id: "c1", name: "read", status: "pending", args: { path: "a.txt" } },
    { type: "tool_call", id: "c1", name: "read", status: "completed", result: "✓ 日本" },
    { type: "text", content: "aus 🌍" }
  ]
}

const bytes = new TextEncoder().encode(framesOf(turn))

/** Reads a streamed turn of a server with this script, whatever time that takes. */
const read = (turns: Script, features?: ReadonlyArray<string>) =>
  Effect.gen(function* () {
    const reading = Forge.withSession({ agent: "demo" }, (session) => Stream.runCollect(session.stream("x")))
    const fiber = yield* Effect.forkChild(Effect.result(reading))
    yield* TestClock.adjust("1 hour")
    const { received } = yield* ScriptedServer
    const sent = received.filter(({ path }) => path.endsWith("/turn"))
    return { result: yield* Fiber.join(fiber), sent }
  }).pipe(Effect.provide(layer(script(turns, features))))

const partsOf = ({ result }: Effect.Success<ReturnType<typeof read>>): ReadonlyArray<Turn.Part> =>
  result._tag === "Success" ? result.success : assert.fail(String(result.failure))

describe("a stream whose connection breaks", () => {
  it.effect("at any byte gives each part once", () =>
    Effect.gen(function* () {
      const whole = partsOf(yield* read(() => stream(bytes)))
      assert.lengthOf(whole, turn.events.length + 1)
      for (let at = 0; at < bytes.length; at++) {
        const broken = yield* read((request, nth) =>
          nth === 2
            ? stream(bytes.subarray(0, at), { cut: true })
            : stream(new TextEncoder().encode(framesOf(turn, lastOf(request))))
        )
        assert.deepStrictEqual(partsOf(broken), whole, `cut after ${at} bytes`)
        assert.lengthOf(broken.sent, 2)
        assert.lengthOf(new Set(broken.sent.map(({ headers }) => headers["idempotency-key"])), 1)
      }
    })
  )

  it.effect("at its end, without a last frame, is opened again as well", () =>
    Effect.gen(function* () {
      const ended = yield* read((request, nth) =>
        nth === 2 ? stream(framesOf(turn).split("id: 4")[0] ?? "") : stream(framesOf(turn, lastOf(request)))
      )
      assert.lengthOf(partsOf(ended), turn.events.length + 1)
      assert.deepStrictEqual(
        ended.sent.map(({ headers }) => headers["last-event-id"]),
        [undefined, "3"]
      )
    })
  )

  it.effect("again and again is read to its end, as long as each connection brings something", () =>
    Effect.gen(function* () {
      const frames = (request: Parameters<Script>[0]) => {
        const text = framesOf(turn, lastOf(request))
        const [first = ""] = text.split("\n\n")
        return text.startsWith("event: done") ? stream(text) : stream(`${first}\n\n`, { cut: true })
      }
      assert.lengthOf(partsOf(yield* read(frames)), turn.events.length + 1)
    })
  )

  it.effect("frames that come twice are given once", () =>
    Effect.gen(function* () {
      const again = yield* read((_, nth) =>
        nth === 2 ? stream(framesOf(turn).split("id: 4")[0] ?? "", { cut: true }) : stream(framesOf(turn))
      )
      assert.deepStrictEqual(partsOf(again), partsOf(yield* read(() => stream(bytes))))
    })
  )

  it.effect("is given up after so many connections that bring nothing", () =>
    Effect.gen(function* () {
      const { result, sent } = yield* read((_, nth) =>
        nth === 2 ? stream(framesOf(turn).split("id: 2")[0] ?? "", { cut: true }) : "reset"
      )
      assert.deepNestedInclude(result._tag === "Failure" ? result.failure : {}, {
        _tag: "TransportError",
        "reason._tag": "Reset",
        outcome: "unknown"
      })
      assert.lengthOf(sent, 9)
    })
  )

  it.effect("is not opened again at a server that keeps no keys", () =>
    Effect.gen(function* () {
      const cut = stream(framesOf(turn).split("id: 2")[0] ?? "", { cut: true })
      const { result, sent } = yield* read(() => cut, ["stream"])
      assert.lengthOf(sent, 1)
      assert.deepNestedInclude(result._tag === "Failure" ? result.failure : {}, { "reason._tag": "Reset" })
    })
  )

  it.effect("a frame that is missing is a gap", () =>
    Effect.gen(function* () {
      const { result } = yield* read(() => stream(framesOf(turn).replace("id: 2\n", "id: 3\n")))
      assert.deepNestedInclude(result._tag === "Failure" ? result.failure : {}, {
        "reason.code": "EVENT_GAP",
        message: "the server no longer keeps event 2 of the stream"
      })
    })
  )
})

describe("the deadline of a stream", () => {
  it.effect(
    "counts all that the server keeps its reader waiting over one connection, and not what the reader takes",
    () =>
      Effect.gen(function* () {
        const event = { _tag: "Event", raw: { type: "text", content: "a" } } as const
        const onDeadline = new TransportError({
          operation: "Session.turn",
          method: "POST",
          path: "/",
          requestId: undefined,
          outcome: "unknown",
          reason: new ForgeError.Timeout({ after: Duration.seconds(90) }),
          message: "too long"
        })
        const { next } = yield* StreamedCall.open<never, TransportError>(
          {
            kind: "keyed",
            connect: () => Effect.succeed({ next: Effect.delay(Effect.succeed([event]), "40 seconds") }),
            deadline: Duration.seconds(90),
            onDeadline,
            idle: undefined,
            supportsIdempotency: Effect.succeed(true)
          },
          Retry.bounds({ times: 0 })
        )
        const reading = yield* next.pipe(
          Effect.andThen(Effect.sleep("1 hour")),
          Effect.forever,
          Effect.flip,
          Effect.forkChild
        )
        // Two events, each with its reader's hour, and what is left of the deadline for the third.
        yield* TestClock.adjust("2 hours")
        yield* TestClock.adjust("89 seconds")
        assert.isUndefined(reading.pollUnsafe())
        yield* TestClock.adjust("1 second")
        assert.strictEqual(yield* Fiber.join(reading), onDeadline)
      })
  )
})
