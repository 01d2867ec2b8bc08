import { assert, describe, it } from "@effect/vitest"
import { Deferred, Effect, Exit, Fiber, Schema, Stream } from "effect"
import { TestClock } from "effect/testing"
import { Forge, type Session, Turn, TurnEvent } from "../src/index.ts"
import * as TurnEvents from "../src/wire/TurnEvents.ts"
import { failing } from "./support/Conversation.ts"
import flat from "./support/dialects/acp-flat.json" with { type: "json" }
import nested from "./support/dialects/acp-nested.json" with { type: "json" }
import normalised from "./support/dialects/normalised.json" with { type: "json" }
import { layer } from "./support/MemoryServer.ts"
import { type Script, ScriptedServer } from "./support/ScriptedServer.ts"
import { eventFrames, frame, framesOf, lastOf, script, stream } from "./support/StreamServer.ts"

const said = (...words: ReadonlyArray<string>) => words.map((content) => ({ type: "text", content }))

const hello = { events: said("Hello", ", ", "world") }

/** A turn that goes on after its first event. */
const unended = stream(eventFrames(said("Hello")), { hang: true })

const withSession = <A, E>(
  turn: Script,
  use: (session: Session.Session) => Effect.Effect<A, E, ScriptedServer>,
  features?: ReadonlyArray<string>
) =>
  Forge.withSession({ agent: "demo" }, use).pipe(Effect.provide(layer(script(turn, features), { retry: { times: 3 } })))

const turns = Effect.map(ScriptedServer, ({ received }) => received.filter(({ path }) => path.endsWith("/turn")))

describe("a streamed turn", () => {
  it.effect("gives each event, and its turn at the end", () =>
    withSession(
      () => stream(framesOf(hello)),
      Effect.fnUntraced(function* (session) {
        const parts = yield* Stream.runCollect(session.stream("Hi"))
        assert.deepStrictEqual(
          parts.map(({ _tag }) => _tag),
          ["Text", "Text", "Text", "Done"]
        )
        const last = parts.at(-1)
        assert.isTrue(last !== undefined && Turn.isDone(last))
        assert.strictEqual(last?._tag === "Done" ? last.turn.text : "", "Hello, world")
        const [sent] = yield* turns
        assert.include(sent?.headers.accept, "text/event-stream")
      })
    )
  )

  const dialects = { normalised, nested, flat }
  for (const [name, recorded] of Object.entries(dialects)) {
    it.effect(`ends with the turn that a batch gives for the same events: ${name}`, () => {
      const events: ReadonlyArray<unknown> = Array.isArray(recorded) ? recorded : recorded.events
      return withSession(
        ({ headers }) =>
          headers.accept?.includes("event-stream") === true
            ? stream(framesOf({ events }))
            : { json: { ok: true, session_id: "s-1", turn_index: 1, events, stop_reason: "end_turn", duration_ms: 5 } },
        Effect.fnUntraced(function* (session) {
          const parts = yield* Stream.runCollect(session.stream("x"))
          const streamed = yield* session.turn("x", { transport: "stream" })
          const batch = yield* session.turn("x", { transport: "json" })
          assert.deepStrictEqual(parts.at(-1), { _tag: "Done", turn: batch })
          assert.deepStrictEqual(streamed, batch)
          assert.deepStrictEqual(TurnEvents.merge(parts.filter((part) => part._tag !== "Done")), batch.events)
          // What a stream gives can be sent on, to a browser for one.
          const Parts = Schema.toCodecJson(Schema.Array(Turn.Part))
          const json = yield* Schema.encodeEffect(Parts)(parts)
          assert.deepStrictEqual(yield* Schema.decodeUnknownEffect(Parts)(JSON.parse(JSON.stringify(json))), parts)
        })
      )
    })
  }

  it.effect("comes as one burst from a server without streams", () =>
    withSession(
      () => ({
        json: {
          ok: true,
          session_id: "s-1",
          turn_index: 1,
          events: hello.events,
          stop_reason: "end_turn",
          duration_ms: 5
        }
      }),
      Effect.fnUntraced(function* (session) {
        const parts = yield* Stream.runCollect(session.stream("x"))
        assert.lengthOf(parts, 4)
        assert.strictEqual((yield* Turn.run(session.stream("x"))).text, "Hello, world")
      })
    )
  )

  it.effect("sends nothing before its first pull, and holds the permit from there to its end", () =>
    withSession(
      (_, nth) => (nth === 2 ? unended : { json: { ...turnBody, turn_index: 2 } }),
      Effect.fnUntraced(function* (session) {
        const read = yield* Deferred.make<void>()
        const streamed = session
          .stream("first")
          .pipe(Stream.runForEach(() => Effect.andThen(Deferred.succeed(read, undefined), Effect.never)))
        assert.lengthOf(yield* turns, 0)
        const reader = yield* Effect.forkChild(streamed)
        yield* Deferred.await(read)
        const waiting = yield* Effect.forkChild(session.turn("second", { queueTimeout: "5 seconds" }))
        const patient = yield* Effect.forkChild(session.turn("third"))
        yield* TestClock.adjust("5 seconds")
        const error = yield* Effect.flip(Fiber.join(waiting))
        assert.deepNestedInclude(error, { _tag: "TransportError", "reason._tag": "Timeout", outcome: "not-sent" })
        assert.strictEqual(error.message, "the turns before it took longer than 5s")
        assert.lengthOf(yield* turns, 1)
        yield* Fiber.interrupt(reader)
        yield* Fiber.join(patient)
        assert.lengthOf(yield* turns, 2)
      })
    )
  )

  it.effect("refuses a turn of the fiber that reads it, until its last part", () =>
    withSession(
      (_, nth) => (nth === 2 ? unended : stream(framesOf(hello))),
      Effect.fnUntraced(function* (session) {
        const own = session.stream("x").pipe(Stream.runForEach(() => session.turn("y")))
        const error = yield* Effect.flip(own)
        assert.deepNestedInclude(error, { status: 422, outcome: "not-sent" })
        assert.match(error.message, /this fiber reads the stream of another turn/)
        const after = yield* session.stream("x").pipe(
          Stream.filter(Turn.isDone),
          Stream.mapEffect(() => session.turn("z")),
          Stream.runCollect
        )
        assert.lengthOf(after, 1)
      })
    )
  )

  it.effect("is cancelled by its key when it is ended early, and the next turn waits for that", () =>
    withSession(
      (_, nth) => (nth === 2 ? unended : { json: turnBody }),
      Effect.fnUntraced(function* (session) {
        yield* session.stream("x").pipe(Stream.take(1), Stream.runDrain)
        yield* session.turn("y")
        const { received } = yield* ScriptedServer
        const paths = received.map(({ path }) => path)
        assert.deepStrictEqual(paths, [
          "/sessions",
          "/sessions/s-1/turn",
          "/healthz",
          "/sessions/s-1/cancel",
          "/sessions/s-1/turn"
        ])
        assert.strictEqual(received[1]?.headers["idempotency-key"], received[3]?.headers["idempotency-key"])
      })
    )
  )

  it.effect("goes on without its reader where that is asked for", () =>
    withSession(
      () => unended,
      Effect.fnUntraced(function* (session) {
        const options = { onInterrupt: "detach", timeout: "90 seconds", key: "mine" } as const
        yield* session.stream("x", options).pipe(Stream.take(1), Stream.runDrain)
        const [sent] = yield* turns
        assert.strictEqual(sent?.headers["idempotency-key"], "mine")
        assert.deepStrictEqual(JSON.parse(sent?.body ?? ""), { prompt: "x", timeout_secs: 90, linger_secs: 90 })
        assert.isFalse((yield* ScriptedServer).received.some(({ path }) => path.endsWith("/cancel")))
      })
    )
  )

  it.effect("goes on after an event that was read before, with all of the turn at its end", () =>
    withSession(
      (request) => stream(framesOf(hello, lastOf(request))),
      Effect.fnUntraced(function* (session) {
        const first = yield* session
          .stream("x", { key: "k" })
          .pipe(Turn.withCursor(), Stream.take(2), Stream.runCollect)
        const cursor = first.at(-1)?.cursor ?? 0
        assert.strictEqual(cursor, 2)
        const rest = yield* session
          .stream("x", { key: "k", after: cursor })
          .pipe(Turn.withCursor({ after: cursor }), Stream.runCollect)
        assert.deepStrictEqual(
          rest.map(({ cursor, part }) => [cursor, part._tag === "Done" ? part.turn.text : part]),
          [
            [3, TurnEvent.Text({ content: "world" })],
            [3, "Hello, world"]
          ]
        )
        const refused = yield* Effect.flip(Stream.runDrain(session.stream("x", { after: 1 })))
        assert.deepNestedInclude(refused, { status: 422, outcome: "not-sent" })
        assert.match(refused.message, /after needs the key/)
      })
    )
  )

  it.effect("fails when no event comes for longer than it may idle, whatever the reader takes", () =>
    withSession(
      () => unended,
      Effect.fnUntraced(function* (session) {
        const reader = yield* session.stream("x", { idle: "10 seconds" }).pipe(
          Stream.runForEach(() => Effect.sleep("1 minute")),
          Effect.flip,
          Effect.forkChild
        )
        yield* TestClock.adjust("1 minute")
        assert.isUndefined(reader.pollUnsafe())
        yield* TestClock.adjust("10 seconds")
        const error = yield* Fiber.join(reader)
        assert.deepNestedInclude(error, {
          "reason._tag": "Timeout",
          outcome: "unknown",
          message: "no event within 10s"
        })
      })
    )
  )

  it.effect("fails at its deadline, which does not count the time of a slow reader", () =>
    withSession(
      () => unended,
      Effect.fnUntraced(function* (session) {
        const reader = yield* session.stream("x", { timeout: "1 minute" }).pipe(
          Stream.runForEach(() => Effect.sleep("1 hour")),
          Effect.flip,
          Effect.forkChild
        )
        yield* TestClock.adjust("1 hour")
        assert.isUndefined(reader.pollUnsafe())
        yield* TestClock.adjust("90 seconds")
        assert.deepNestedInclude(yield* Fiber.join(reader), { "reason._tag": "Timeout" })
      })
    )
  )

  const failures: Readonly<Record<string, readonly [number, object, object]>> = {
    "of the agent": [
      502,
      { ok: false, error: "it broke", stderr: "", duration_ms: 1, stop_reason: "error" },
      { status: 502, outcome: "acted" }
    ],
    "of a session that is gone": [404, { detail: "session not found" }, { status: 404, outcome: "refused" }]
  }
  for (const [name, [status, body, expected]] of Object.entries(failures)) {
    it.effect(`fails with the error that its last frame reports, after the events before it: ${name}`, () =>
      withSession(
        () => stream(frame("text", said("a")[0], 1) + frame("error", { status, body })),
        Effect.fnUntraced(function* (session) {
          const seen: Array<string> = []
          const error = yield* session.stream("x").pipe(
            Stream.runForEach(({ _tag }) => Effect.sync(() => seen.push(_tag))),
            Effect.flip
          )
          assert.deepStrictEqual(seen, ["Text"])
          assert.deepInclude(error, { _tag: "ApiError", ...expected })
          assert.deepInclude(yield* Effect.flip(session.turn("x")), { _tag: "ApiError", ...expected })
        })
      )
    )
  }

  it.effect("that finds the session closed closes the handle", () =>
    withSession(
      () => stream(frame("error", { status: 410, body: { detail: "session is closed" } })),
      Effect.fnUntraced(function* (session) {
        const error = yield* Effect.flip(Stream.runDrain(session.stream("x")))
        assert.deepInclude(error, { _tag: "SessionClosed", by: "server" })
        assert.strictEqual(yield* session.closed, "server")
      })
    )
  )

  it.effect("is retried like any other call before its first event", () =>
    withSession(
      (_, nth) => (nth === 2 ? { status: 503, json: { detail: "session pool is full" } } : stream(framesOf(hello))),
      Effect.fnUntraced(function* (session) {
        const reader = yield* Effect.forkChild(Turn.run(session.stream("x")))
        yield* TestClock.adjust("10 seconds")
        assert.strictEqual((yield* Fiber.join(reader)).text, "Hello, world")
        assert.lengthOf(yield* turns, 2)
      })
    )
  )

  it.effect("is not retried after an event on a server that does not number its events", () =>
    withSession(
      () => stream(frame("text", said("a")[0]), { cut: true }),
      Effect.fnUntraced(function* (session) {
        const { error } = yield* failing(Stream.runDrain(session.stream("x")))
        assert.deepNestedInclude(error, { _tag: "TransportError", "reason._tag": "Reset", outcome: "unknown" })
        assert.lengthOf(yield* turns, 1)
      })
    )
  )

  it.effect("fails where events are missing", () =>
    withSession(
      (request) => {
        const last = lastOf(request)
        return last === 0
          ? stream(frame("text", said("a")[0], 1), { cut: true })
          : stream(frame("gap", { after: last, next: 7 }) + frame("done", turnBody))
      },
      Effect.fnUntraced(function* (session) {
        const reader = yield* Effect.forkChild(Effect.flip(Stream.runDrain(session.stream("x"))))
        yield* TestClock.adjust("10 seconds")
        const error = yield* Fiber.join(reader)
        assert.deepNestedInclude(error, { "reason._tag": "Reset", "reason.code": "EVENT_GAP", outcome: "acted" })
        assert.strictEqual(error.message, "the server no longer keeps the events 2 to 6 of the stream")
      })
    )
  )

  it.effect("as a batch takes the whole answer where the server no longer keeps its events", () =>
    withSession(
      ({ headers }) =>
        headers.accept?.includes("event-stream") === true
          ? stream(frame("gap", { after: 0, next: null }) + frame("done", turnBody))
          : { json: { ...turnBody, events: hello.events } },
      Effect.fnUntraced(function* (session) {
        assert.strictEqual((yield* session.turn("x", { timeout: "2 minutes" })).text, "Hello, world")
        const [first, second] = yield* turns
        assert.strictEqual(first?.headers["idempotency-key"], second?.headers["idempotency-key"])
      })
    )
  )

  it.effect("asks for events by its timeout, unless its transport is given", () =>
    withSession(
      () => ({ json: turnBody }),
      Effect.fnUntraced(function* (session) {
        yield* session.turn("x")
        yield* session.turn("x", { timeout: "59 seconds" })
        yield* session.turn("x", { timeout: "59 seconds", transport: "stream" })
        yield* session.turn("x", { timeout: "5 minutes", transport: "json" })
        const accepted = (yield* turns).map(({ headers }) => headers.accept)
        const events = "text/event-stream, application/json;q=0.9"
        assert.deepStrictEqual(accepted, [events, "application/json", events, "application/json"])
      })
    )
  )

  it.effect("gives the turn so far", () =>
    withSession(
      () => stream(framesOf(hello)),
      Effect.fnUntraced(function* (session) {
        const drawn = yield* session.stream("x").pipe(Turn.progress, Stream.runCollect)
        assert.deepStrictEqual(
          drawn.map(({ events, text }) => [text, events.length]),
          [
            ["", 0],
            ["Hello", 1],
            ["Hello, ", 1],
            ["Hello, world", 1],
            ["Hello, world", 1]
          ]
        )
        const texts = yield* session.stream("x").pipe(Turn.texts, Stream.runCollect)
        assert.deepStrictEqual(texts, ["Hello", ", ", "world"])
      })
    )
  )

  it.effect("refuses options that it cannot use, before anything is sent", () =>
    withSession(
      () => ({ json: turnBody }),
      Effect.fnUntraced(function* (session) {
        const refused = [
          session.turn("x", { key: "" }),
          session.turn("x", { key: "a b" }),
          session.turn("x", { queueTimeout: Number.NaN }),
          Stream.runDrain(session.stream("x", { idle: -1 })),
          Stream.runDrain(session.stream("x", { key: "k", after: -1 })),
          Stream.runDrain(session.stream("x", { key: "k", after: 0.5 }))
        ]
        for (const one of refused) {
          assert.deepNestedInclude(yield* Effect.flip(one), { status: 422, outcome: "not-sent" })
        }
        assert.lengthOf(yield* turns, 0)
      })
    )
  )

  it.effect("reports how it failed to its scope alone", () =>
    withSession(
      () => stream(framesOf(hello)),
      Effect.fnUntraced(function* (session) {
        const exit = yield* Effect.exit(session.stream("x").pipe(Stream.runForEach(() => Effect.fail("mine"))))
        assert.deepStrictEqual(exit, Exit.fail("mine"))
      })
    )
  )
})

const turnBody = {
  ok: true,
  session_id: "s-1",
  turn_index: 1,
  events: [],
  stop_reason: "end_turn",
  duration_ms: 5
}
