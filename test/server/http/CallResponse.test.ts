import * as NodeFileSystem from "@effect/platform-node/NodeFileSystem"
import { assert, describe, it } from "@effect/vitest"
import { Context, Effect, Fiber, FileSystem, Latch, Layer, Queue, Stream } from "effect"
import { Headers, HttpServerRequest, type HttpServerResponse } from "effect/http"
import { TestClock } from "effect/testing"
import { fileURLToPath } from "node:url"
import { StorageUnavailable } from "../../../src/api/Errors.ts"
import * as DemoAgent from "../../../src/agent/DemoAgent.ts"
import * as TurnBudget from "../../../src/server/TurnBudget.ts"
import * as RunningCall from "../../../src/server/calls/RunningCall.ts"
import type { TurnEvent } from "../../../src/wire/TurnEvent.ts"
import * as CallResponse from "../../../src/server/http/CallResponse.ts"
import type * as CallAnswer from "../../../src/server/calls/CallAnswer.ts"
import * as CallFeed from "../../../src/server/calls/CallFeed.ts"
import { patience } from "../../support/Patience.ts"
import { eventsIn, openStream, serve } from "../Support.ts"
import { eventually } from "../../support/Eventually.ts"

const misbehaving = fileURLToPath(new URL("../../agent/fixtures/MisbehavingAgent.ts", import.meta.url))

const make = Effect.gen(function* () {
  const fs = yield* FileSystem.FileSystem
  const data = yield* fs.makeTempDirectoryScoped()
  const server = yield* serve({
    data,
    maxStall: "500 millis",
    maxAppStreams: 2,
    agents: [
      DemoAgent.definition,
      { name: "flood", command: [process.execPath, misbehaving, "flood-updates"], permissions: "deny" }
    ]
  })
  return { data, app: yield* server.mint("app") }
}).pipe(Effect.provide(NodeFileSystem.layer))

class Shared extends Context.Service<Shared, Effect.Success<typeof make>>()("test/CallResponse") {
  static readonly layer = Layer.effect(Shared, make)
}

const withoutComments = (text: string) => text.replaceAll(": keep-alive\n\n", "")

const tooMany = '{"detail":"too many requests"}'

const open = Effect.gen(function* () {
  const { app } = yield* Shared
  return yield* app.open
})

const stream = (id: string, body: unknown, headers: Readonly<Record<string, string>> = {}) =>
  Effect.flatMap(Shared, ({ app }) => openStream(app, `/sessions/${id}/turn`, { body, headers }))

/** The kinds and stop reasons of a session's recorded events, once there are so many. */
const recorded = Effect.fnUntraced(function* (id: string, count: number) {
  const { data } = yield* Shared
  return yield* Effect.sync(() => eventsIn(data, id)).pipe(
    eventually(`${count} events in the ledger`, (events) => events.length >= count),
    Effect.map((events) =>
      events.map(({ detail, kind }) => (detail === null ? kind : (/"stop_reason":"(\w+)"/.exec(detail)?.[1] ?? kind)))
    )
  )
})

it.layer(Shared.layer, { excludeTestServices: true })("a turn as an event stream", (it) => {
  it.effect("has one frame for each event, then the rest of the JSON answer", () =>
    Effect.gen(function* () {
      const { id } = yield* open
      const answer = yield* stream(id, { prompt: "/chunks 3" })
      assert.strictEqual(answer.status, 200)
      const { headers } = answer
      // Without it, Python's requests reads any text as Latin-1.
      assert.strictEqual(headers.get("content-type"), "text/event-stream; charset=utf-8")
      assert.strictEqual(headers.get("cache-control"), "no-store")
      assert.strictEqual(headers.get("x-accel-buffering"), "no")
      assert.isNull(headers.get("content-encoding"))
      assert.isNotNull(headers.get("x-request-id"))
      const text = yield* answer.rest
      assert.match(
        withoutComments(text),
        new RegExp(
          `^id: 1\nevent: text\ndata: {"type":"text","content":"1 "}\n\n` +
            `id: 2\nevent: text\ndata: {"type":"text","content":"2 "}\n\n` +
            `id: 3\nevent: text\ndata: {"type":"text","content":"3 "}\n\n` +
            `(id: \\d\nevent: usage\ndata: {"type":"usage",[^\n]*}\n\n)+` +
            `event: done\ndata: {"ok":true,"session_id":"${id}","turn_index":1,"stop_reason":"end_turn","duration_ms":\\d+,"usage":{[^\n]*}}\n\n$`
        )
      )
    })
  )

  it.effect("is JSON with merged events without the Accept header, or with a quality of 0", () =>
    Effect.gen(function* () {
      const { app } = yield* Shared
      const { id } = yield* open
      for (const accept of ["*/*", "application/json", "text/*", "text/event-stream;q=0"]) {
        const answer = yield* app.request("POST", `/sessions/${id}/turn`, {
          body: { prompt: "/chunks 3" },
          headers: { accept }
        })
        assert.strictEqual(answer.headers.get("content-type"), "application/json")
        assert.include(answer.text, '{"type":"text","content":"1 2 3 "}')
      }
    })
  )

  it.effect("sends its first event while the turn runs, and is cancelled when its client disconnects", () =>
    Effect.gen(function* () {
      const { app } = yield* Shared
      const { id } = yield* open
      yield* Effect.scoped(
        Effect.gen(function* () {
          const answer = yield* stream(id, { prompt: "/wait" })
          assert.include(yield* answer.next, 'data: {"type":"text","content":"Waiting."}')
          assert.strictEqual((yield* app.state(id)).turn_count, 1)
        })
      )
      assert.deepStrictEqual(yield* recorded(id, 2), ["create", "cancelled"])
      assert.strictEqual((yield* app.turn(id, "/echo next")).status, 200)
    })
  )

  it.effect("sends 2,000 chunks one by one and in order", () =>
    Effect.gen(function* () {
      const { id } = yield* open
      const answer = yield* stream(id, { prompt: "/chunks 2000" })
      const text = yield* answer.rest
      const numbers = [...text.matchAll(/^data: {"type":"text","content":"(\d+) "}$/gm)].map(([, number]) =>
        Number(number)
      )
      assert.deepStrictEqual(
        numbers,
        Array.from({ length: 2_000 }, (_, index) => index + 1)
      )
      assert.include(text, "event: done\n")
    })
  )

  it.effect("is an ordinary response when the turn fails before its first event", () =>
    Effect.gen(function* () {
      const { app } = yield* Shared
      const { id } = yield* open
      const failed = yield* stream(id, { prompt: "/fail no luck" })
      assert.strictEqual(failed.status, 502)
      assert.strictEqual(failed.headers.get("content-type"), "application/json")
      assert.match(
        yield* failed.rest,
        /^{"ok":false,"error":"Agent demo failed the turn: no luck","stderr":"","duration_ms":\d+,"stop_reason":"error"}$/
      )
      const file = yield* stream(id, { prompt: "hello", files: ["ff_unknown"] })
      assert.deepStrictEqual([file.status, yield* file.rest], [404, '{"detail":"file not found"}'])
      const blank = yield* stream(id, { prompt: " " })
      assert.strictEqual(blank.status, 422)
      yield* app.request("DELETE", `/sessions/${id}`)
      const closed = yield* stream(id, { prompt: "hello" })
      assert.deepStrictEqual([closed.status, yield* closed.rest], [410, '{"detail":"session is closed"}'])
      const unknown = yield* stream("0123456789abcdef", { prompt: "hello" })
      assert.deepStrictEqual([unknown.status, yield* unknown.rest], [404, '{"detail":"session not found"}'])
    })
  )

  it.effect("ends with the answer that the turn would have had when it fails after its first event", () =>
    Effect.gen(function* () {
      const { app } = yield* Shared
      const { id } = yield* open
      const answer = yield* stream(id, { prompt: "/exit 3" })
      assert.strictEqual(answer.status, 200)
      assert.match(
        withoutComments(yield* answer.rest),
        /^id: 1\nevent: text\ndata: {"type":"text","content":"Leaving\."}\n\nevent: error\ndata: {"status":502,"body":{"ok":false,"error":"Agent demo exited with code 3\.","stderr":"[^\n]*","duration_ms":\d+,"stop_reason":"error"}}\n\n$/
      )
      const waiting = yield* stream(id, { prompt: "/wait" })
      yield* waiting.next
      yield* app.request("DELETE", `/sessions/${id}`)
      assert.include(
        yield* waiting.rest,
        'event: error\ndata: {"status":410,"body":{"detail":"session is closed"}}\n\n'
      )
    })
  )

  it.effect("is 429 when the app reads as many as it may", () =>
    Effect.gen(function* () {
      const { app } = yield* Shared
      const ids = [(yield* open).id, (yield* open).id, (yield* open).id]
      const answers = yield* Effect.forEach(ids, (id) => stream(id, { prompt: "/wait" }))
      assert.deepStrictEqual(
        answers.map(({ status }) => status),
        [200, 200, 429]
      )
      assert.strictEqual(yield* Effect.flatMap(Effect.fromNullishOr(answers[2]), ({ rest }) => rest), tooMany)
      assert.strictEqual((yield* app.turn(ids[2] ?? "", "/echo JSON")).status, 200)
      yield* app.request("POST", `/sessions/${ids[0]}/cancel`)
      yield* Effect.flatMap(Effect.fromNullishOr(answers[0]), ({ rest }) => rest)
      assert.strictEqual((yield* stream(ids[2] ?? "", { prompt: "/echo again" })).status, 200)
      assert.strictEqual((yield* app.state(ids[2] ?? "")).turn_count, 2)
    })
  )

  it.effect("ends with the events so far when it is cancelled", () =>
    Effect.gen(function* () {
      const { app } = yield* Shared
      const { id } = yield* open
      const answer = yield* stream(id, { prompt: "/wait" })
      yield* answer.next
      const cancelled = yield* app.request("POST", `/sessions/${id}/cancel`)
      assert.strictEqual(cancelled.text, '{"ok":true,"cancelled":true}')
      assert.match(yield* answer.rest, /event: done\ndata: {"ok":true,[^\n]*"stop_reason":"cancelled"[^\n]*}\n\n$/)
    })
  )

  it.effect("slows its agent down to its reader, and cuts a reader that stalls", () =>
    Effect.gen(function* () {
      const { app } = yield* Shared
      const created = yield* app.request("POST", "/sessions", { body: { agent: "flood" } })
      const id = /"session_id":"([^"]+)"/.exec(created.text)?.[1] ?? ""
      const answer = yield* stream(id, { prompt: "go" })
      yield* answer.next
      // The turn would have failed if the agent had written more than a turn may hold.
      assert.deepStrictEqual(yield* recorded(id, 2), ["create", "cancelled"])
      assert.strictEqual((yield* app.state(id)).live, true)
      // The connection is closed and no longer counts against the app's limit.
      for (const { id } of [yield* open, yield* open]) {
        const next = stream(id, { prompt: "/wait" }).pipe(
          eventually("room for another stream", ({ status }) => status === 200)
        )
        yield* Effect.timeout(next, patience)
      }
    })
  )
})

it.live("comments keep a silent event stream open, also before its first event", () =>
  Effect.gen(function* () {
    const fs = yield* FileSystem.FileSystem
    const server = yield* serve({ data: yield* fs.makeTempDirectoryScoped(), keepAlive: "100 millis" })
    const app = yield* server.mint("app")
    const { id } = yield* app.open
    const path = `/sessions/${id}/turn`
    const waiting = yield* openStream(app, path, { body: { prompt: "/wait" } })
    let text = ""
    while (!/event: text\n.*\n\n: keep-alive\n\n$/.test(text)) text += yield* waiting.next
    const second = yield* openStream(app, path, { body: { prompt: "/echo second" } })
    assert.strictEqual(second.status, 200)
    assert.match(yield* second.next, /^: keep-alive\n\n/)
    yield* app.request("POST", `/sessions/${id}/cancel`)
    assert.match(withoutComments(yield* waiting.rest), /event: done\n.*\n\n$/)
    assert.match(
      withoutComments(yield* second.rest),
      /^id: 1\nevent: text\ndata: .*second.*\n\n(.|\n)*event: done\n.*\n\n$/
    )
  }).pipe(Effect.scoped, Effect.provide(NodeFileSystem.layer))
)

describe("Accept", () => {
  it("accepts an event stream by its media type alone", () => {
    const ask = (accept: string) => CallResponse.acceptsEvents({ headers: Headers.fromInput({ accept }) })
    for (const accept of ["text/event-stream", "application/json, Text/Event-Stream; q=0.5", "text/event-stream,*/*"]) {
      assert.isTrue(ask(accept), accept)
    }
    for (const accept of ["", "*/*", "text/*", "text/event-streams", "text/event-stream; q=0.000"]) {
      assert.isFalse(ask(accept), accept)
    }
  })
})

describe("the body of an event stream", () => {
  /** The parts in which a stream is written. */
  const partsOf = ({ body }: HttpServerResponse.HttpServerResponse) => {
    assert(body._tag === "Stream")
    return Stream.decodeText(body.stream)
  }
  const inRequest = Effect.provideService(
    HttpServerRequest.HttpServerRequest,
    HttpServerRequest.fromWeb(new Request("http://a/"))
  )

  /** A call that is offered what it says, and fails in the end. */
  const running = Effect.gen(function* () {
    const said = yield* Queue.unbounded<string | undefined>()
    const call = yield* RunningCall.start(CallFeed.make(TurnBudget.make().shareOf(1)), (feed) =>
      Queue.take(said).pipe(
        Effect.flatMap((content) =>
          content === undefined ? Effect.succeed(false) : Effect.as(feed.offer({ _tag: "Text", content }), true)
        ),
        Effect.repeat({ while: (more) => more }),
        Effect.as({ status: 502, body: '{"ok":false}' })
      )
    )
    const offer = (content: string | undefined) => Effect.andThen(Queue.offer(said, content), TestClock.adjust(0))
    return { call, offer }
  })

  /** A call that ended without an event. */
  const endedWith = (answer: CallAnswer.CallAnswer): RunningCall.RunningCall => ({
    hasEvents: Effect.succeed(false),
    read: () => Effect.succeed({ ready: Effect.void, take: Effect.succeed([]) }),
    answer: Effect.succeed(answer)
  })

  /** The parts in which events are written that are all there before the reader starts. */
  const written = Effect.fnUntraced(function* (events: ReadonlyArray<TurnEvent>) {
    const call = yield* RunningCall.start(CallFeed.make(TurnBudget.make().shareOf(1)), (feed) =>
      Effect.as(Effect.forEach(events, feed.offer), { status: 200, body: '{"ok":true,"events":[]}' })
    )
    yield* call.answer
    return yield* Stream.runCollect(partsOf(yield* CallResponse.renderEvents(call, 0)))
  }, inRequest)

  /** The text of a stream whose turn is silent for longer than a connection may be. */
  const writtenLate = Effect.fnUntraced(function* (
    turn: (feed: CallFeed.CallFeed) => Effect.Effect<CallAnswer.CallAnswer>
  ) {
    const speak = yield* Latch.make()
    const call = yield* RunningCall.start(CallFeed.make(TurnBudget.make().shareOf(1)), (feed) =>
      Effect.andThen(speak.await, turn(feed))
    )
    const answering = yield* Effect.forkChild(CallResponse.renderEvents(call, 0))
    yield* TestClock.adjust("15 seconds")
    const response = yield* Fiber.join(answering)
    assert.strictEqual(response.status, 200)
    const parts = yield* Effect.forkChild(Stream.runCollect(partsOf(response)))
    yield* TestClock.adjust("15 seconds")
    yield* speak.open
    return (yield* Fiber.join(parts)).join("")
  }, inRequest)
  const comments = ": keep-alive\n\n: keep-alive\n\n"

  it.effect("begins with a comment when the first event is late", () =>
    Effect.gen(function* () {
      const text = yield* writtenLate((feed) =>
        Effect.as(feed.offer({ _tag: "Text", content: "Here." }), { status: 200, body: '{"events":[{"type":"text"}]}' })
      )
      const event = 'id: 1\nevent: text\ndata: {"type":"text","content":"Here."}\n\n'
      assert.strictEqual(text, `${comments}${event}event: done\ndata: {}\n\n`)
    })
  )

  it.effect("ends with the answer of a turn that fails after the first comment", () =>
    Effect.gen(function* () {
      const text = yield* writtenLate(() => Effect.succeed({ status: 502, body: '{"ok":false}' }))
      assert.strictEqual(text, `${comments}event: error\ndata: {"status":502,"body":{"ok":false}}\n\n`)
    })
  )

  it.effect("is written a few large events at a time, however many there are", () =>
    Effect.gen(function* () {
      const content = "x".repeat(300_000)
      const parts = yield* written(Array.from({ length: 20 }, () => ({ _tag: "Text", content })))
      assert.strictEqual(parts.join("").split("event: text\n").length - 1, 20)
      for (const part of parts) assert.isBelow(part.length, 2_000_000)
      assert.strictEqual(parts.at(-1), 'event: done\ndata: {"ok":true}\n\n')
    })
  )

  it.effect("counts against the budget of turns until it is sent", () => {
    const budget = TurnBudget.make(1_000)
    const answer = { status: 200, body: JSON.stringify({ events: [{ type: "text", content: "x".repeat(900) }] }) }
    return Effect.gen(function* () {
      yield* Effect.scoped(
        Effect.gen(function* () {
          yield* CallResponse.renderEvents(endedWith(answer), 0)
          yield* TestClock.adjust(0)
          assert.isFalse(budget.take(100))
        })
      )
      assert.isTrue(budget.take(1_000))
    }).pipe(Effect.provideService(TurnBudget.TurnBudget, budget), inRequest)
  })

  it.effect(
    "begins at once for a reader that goes on after the last event so far: the call is past an ordinary failure",
    () =>
      Effect.gen(function* () {
        const { call, offer } = yield* running
        yield* offer("first")
        const response = yield* CallResponse.renderEvents(call, 1)
        const parts = yield* Effect.forkChild(Stream.runCollect(partsOf(response)), { startImmediately: true })
        yield* offer("second")
        yield* offer(undefined)
        assert.strictEqual(
          (yield* Fiber.join(parts)).join(""),
          ': keep-alive\n\nid: 2\nevent: text\ndata: {"type":"text","content":"second"}\n\nevent: error\ndata: {"status":502,"body":{"ok":false}}\n\n'
        )
      }).pipe(Effect.scoped, inRequest)
  )

  it.effect(
    "is silent for each reader on its own: one that comes and goes neither wakes another nor ends the call",
    () =>
      Effect.gen(function* () {
        const { call, offer } = yield* running
        yield* offer("first")
        const response = yield* CallResponse.renderEvents(call, 0)
        const parts = yield* Effect.forkChild(Stream.runCollect(partsOf(response)), { startImmediately: true })
        for (let visit = 0; visit < 4; visit++) {
          yield* Effect.scoped(CallResponse.renderEvents(call, 0))
          yield* TestClock.adjust("10 seconds")
        }
        yield* offer(undefined)
        const text = (yield* Fiber.join(parts)).join("")
        assert.strictEqual(text.split(": keep-alive\n\n").length - 1, 2, text)
        assert.include(text, "event: error")
      }).pipe(Effect.scoped, inRequest)
  )

  it.effect("ends with a refusal when the kept frames cannot be read any further", () =>
    Effect.gen(function* () {
      const frame = "id: 1\nevent: text\ndata: {}\n\n"
      let taken = false
      const call: RunningCall.RunningCall = {
        hasEvents: Effect.succeed(true),
        answer: Effect.succeed({ status: 200, body: "{}" }),
        read: () =>
          Effect.succeed({
            ready: Effect.void,
            take: Effect.suspend(() => {
              if (taken) return Effect.fail(StorageUnavailable.from(new Error("the disk is gone")))
              taken = true
              return Effect.succeed([frame])
            })
          })
      }
      const parts = yield* Stream.runCollect(partsOf(yield* CallResponse.renderEvents(call, 0)))
      assert.deepStrictEqual(parts, [
        frame,
        'event: error\ndata: {"status":503,"body":{"detail":"storage unavailable"}}\n\n'
      ])
      const refused = yield* CallResponse.renderEvents(call, 0)
      assert.strictEqual(refused.status, 503)
    }).pipe(Effect.scoped, inRequest)
  )

  it.effect("ends with an error frame when an event cannot be encoded", () =>
    Effect.gen(function* () {
      const circular: { self?: unknown } = {}
      circular.self = circular
      const parts = yield* written([
        { _tag: "Text", content: "Here." },
        { _tag: "ToolCall", name: "read", result: circular }
      ])
      assert.strictEqual(
        parts.at(-1),
        'event: error\ndata: {"status":500,"body":{"detail":"Internal Server Error"}}\n\n'
      )
    })
  )
})
