/**
 * The shutdown of a server, as its clients see it.
 */
import * as NodeFileSystem from "@effect/platform-node/NodeFileSystem"
import { assert, describe, it } from "@effect/vitest"
import { Clock, type Duration, Effect, Fiber, FileSystem } from "effect"
import { TestClock } from "effect/testing"
import type { IncomingMessage } from "node:http"
import { text as consumeText } from "node:stream/consumers"
import * as DemoAgent from "../../src/agent/DemoAgent.ts"
import * as Shutdown from "../../src/server/Shutdown.ts"
import { misbehaving } from "../agent/Support.ts"
import * as Http from "../support/Http.ts"
import { type Answer, type App, call, eventsIn, openStream, processesIn, serve, turnOf } from "./Support.ts"
import { eventually } from "../support/Eventually.ts"

const deaf = { ...misbehaving("ignore-cancel"), name: "deaf" }

const start = Effect.fnUntraced(function* (grace: Duration.Input) {
  const fs = yield* FileSystem.FileSystem
  const data = yield* fs.makeTempDirectoryScoped()
  const server = yield* serve({ data, grace, agents: [DemoAgent.definition, deaf] })
  const app = yield* server.mint("app")
  const ending = Effect.gen(function* () {
    const stopping = yield* Effect.forkChild(server.stop)
    yield* call(`${server.url}/readyz`, "GET").pipe(
      eventually("a server that is ending", ({ status }) => status === 503)
    )
    return stopping
  })
  return { ...server, data, app, ending }
}, Effect.provide(NodeFileSystem.layer))

/** A session with a running turn. */
const working = Effect.fnUntraced(function* (app: App, agent = "demo") {
  const opened = yield* app.request("POST", "/sessions", { body: { agent } })
  const id: string = JSON.parse(opened.text).session_id
  const turn = yield* Effect.forkChild(app.turn(id, "/wait"))
  yield* app.turns(id, 1)
  return { id, turn }
})

/** A request with an incomplete body, whose connection closes with the scope. */
const openPost = (app: App, path: string, headers: Readonly<Record<string, string>>) =>
  Http.openRequest(app.url + path, "POST", { authorization: `Bearer ${app.token}`, ...headers })

const stopOf = ({ status, text }: Answer) => [status, JSON.parse(text).stop_reason]

const shuttingDown = [503, '{"detail":"shutting down"}']

describe("a shutdown", () => {
  it.effect("cancels four seconds before the end of the grace period, in which any agent can be ended", () =>
    Effect.gen(function* () {
      const happened: Array<string> = []
      const note = (what: string) =>
        Effect.map(Clock.currentTimeMillis, (now) => void happened.push(`${what} ${now / 1_000}`))
      const shutdown = yield* Shutdown.make
      yield* Effect.forkChild(shutdown.track(Effect.never), { startImmediately: true })
      yield* Effect.forkChild(Effect.andThen(shutdown.graceIsOver, note("cancelled")), { startImmediately: true })
      const ending = shutdown.begin("10 seconds", { timeOver: note("over") })
      yield* Effect.forkChild(Effect.andThen(ending, note("ended")), { startImmediately: true })
      yield* TestClock.adjust("1 minute")
      assert.deepStrictEqual(happened, ["cancelled 6", "over 10", "ended 11"])
    })
  )

  it.effect("cancels after half of a grace period that is shorter than eight seconds", () =>
    Effect.gen(function* () {
      const shutdown = yield* Shutdown.make
      const over = Effect.andThen(shutdown.graceIsOver, Clock.currentTimeMillis)
      const cancelled = yield* Effect.forkChild(over, { startImmediately: true })
      yield* Effect.forkChild(shutdown.track(Effect.never), { startImmediately: true })
      yield* Effect.forkChild(shutdown.begin("4 seconds"), { startImmediately: true })
      yield* TestClock.adjust("1 minute")
      assert.strictEqual(yield* Fiber.join(cancelled), 2_000)
    })
  )
})

describe.concurrent("the end of a server", () => {
  it.live("turns can be cancelled and sessions closed within the grace period, which ends it sooner", () =>
    Effect.gen(function* () {
      const { app, ending } = yield* start("10 minutes")
      const [cancelled, closed] = [yield* working(app), yield* working(app)]
      const stopping = yield* ending
      const refused = yield* app.turn(cancelled.id, "/echo new")
      assert.deepStrictEqual([refused.status, refused.text], shuttingDown)
      assert.match(refused.headers.get("retry-after") ?? "", /^\d+$/)
      const cancel = yield* app.request("POST", `/sessions/${cancelled.id}/cancel`)
      assert.deepStrictEqual([cancel.status, cancel.text], [200, '{"ok":true,"cancelled":true}'])
      assert.deepStrictEqual(stopOf(yield* Fiber.join(cancelled.turn)), [200, "cancelled"])
      const close = yield* app.request("DELETE", `/sessions/${closed.id}`)
      assert.deepStrictEqual([close.status, close.text], [200, '{"ok":true}'])
      assert.strictEqual((yield* Fiber.join(closed.turn)).status, 410)
      yield* Fiber.join(stopping)
    }).pipe(Effect.scoped)
  )

  it.live("a slow client gets its whole answer within the grace period", () =>
    Effect.gen(function* () {
      const { app, ending } = yield* start("10 minutes")
      const { id } = yield* app.open
      // More than the system buffers before the client reads.
      const body = JSON.stringify({ prompt: `/echo ${"x".repeat(7_000_000)}` })
      const client = yield* openPost(app, `/sessions/${id}/turn`, { "content-type": "application/json" })
      const answer = yield* Effect.callback<IncomingMessage>((resume) => {
        client.on("response", (answer) => resume(Effect.succeed(answer)))
        client.end(body)
      })
      const stopping = yield* ending
      // The server still accepts connections.
      const ready = yield* call(`${app.url}/readyz`, "GET")
      assert.strictEqual(ready.status, 503)
      const text = yield* Effect.promise(() => consumeText(answer))
      assert.strictEqual((yield* turnOf({ text })).text.length, 7_000_000)
      yield* Fiber.join(stopping)
    }).pipe(Effect.scoped)
  )

  it.live(
    "after the grace period running turns and runs are cancelled and answered, and waiting ones are refused",
    () =>
      Effect.gen(function* () {
        const { app, data, stop } = yield* start("100 millis")
        const [flying, ignoring] = [yield* working(app), yield* working(app, "deaf")]
        const waiting = yield* Effect.forkChild(app.turn(flying.id, "/echo never"))
        const keyed = { headers: { "idempotency-key": "last" }, body: { prompt: "/wait" } }
        const run = yield* Effect.forkChild(app.request("POST", "/run", keyed))
        const { id } = yield* app.open
        const stream = yield* openStream(app, `/sessions/${id}/turn`, { body: { prompt: "/wait" } })
        const first = yield* stream.next
        yield* Effect.sync(() => processesIn(`${data}/runs/`)).pipe(eventually("an agent", (pids) => pids.length === 1))
        yield* stop

        const turn = yield* Fiber.join(flying.turn)
        assert.deepStrictEqual(stopOf(turn), [200, "cancelled"])
        assert.include(turn.text, '{"type":"text","content":"Waiting."}')
        assert.deepStrictEqual(stopOf(yield* Fiber.join(ignoring.turn)), [200, "cancelled"])
        const later = yield* Fiber.join(waiting)
        assert.deepStrictEqual([later.status, later.text], shuttingDown)
        const streamed = first + (yield* stream.rest)
        assert.match(streamed, /event: done\ndata: [^\n]*"stop_reason":"cancelled"[^\n]*\n\n$/)
        const cut = yield* Fiber.join(run)
        assert.deepStrictEqual(stopOf(cut), [502, "cancelled"])
        assert.deepStrictEqual(Object.keys(JSON.parse(cut.text)), [
          "ok",
          "error",
          "stderr",
          "duration_ms",
          "stop_reason"
        ])
        assert.deepStrictEqual(
          eventsIn(data, flying.id).map(({ kind, turn_index }) => [kind, turn_index]),
          [
            ["create", null],
            ["turn", 1]
          ]
        )
        assert.deepStrictEqual(processesIn(data), [])

        // A repeat gets the kept answer.
        const next = yield* serve({ data, agents: [DemoAgent.definition, deaf] })
        const again = yield* next.adopt(app.token).request("POST", "/run", keyed)
        assert.deepStrictEqual([again.status, again.text], [cut.status, cut.text])
      }).pipe(Effect.scoped)
  )

  it.live(
    "after the grace period a request with an incomplete body is refused, and nothing of its upload is kept",
    () =>
      Effect.gen(function* () {
        const fs = yield* FileSystem.FileSystem
        const { app, data, stop } = yield* start("100 millis")
        const slow = yield* Effect.forEach(
          [
            ["/run", "application/json", '{"prompt":'],
            [
              "/files",
              "multipart/form-data; boundary=b",
              '--b\r\nContent-Disposition: form-data; name="file"; filename="a"'
            ]
          ] as const,
          Effect.fnUntraced(function* ([path, type, half]) {
            const head = { "content-type": type, "content-length": "5000", expect: "100-continue" }
            const client = yield* openPost(app, path, head)
            const answer = new Promise<IncomingMessage>((resolve) => client.on("response", resolve))
            // The server is reading the body.
            yield* Effect.callback<void>((resume) => {
              client.on("continue", () => resume(Effect.void))
              client.flushHeaders()
            })
            client.write(half)
            return answer
          })
        )
        yield* stop
        for (const answer of slow) {
          const refused = yield* Effect.promise(() => answer)
          assert.deepStrictEqual([refused.statusCode, yield* Effect.promise(() => consumeText(refused))], shuttingDown)
        }
        assert.deepStrictEqual(yield* fs.readDirectory(`${data}/uploads`), [])
      }).pipe(Effect.scoped, Effect.provide(NodeFileSystem.layer))
  )

  it.live("a session that is being opened at the end of the grace period is refused", () =>
    Effect.gen(function* () {
      const fs = yield* FileSystem.FileSystem
      const data = yield* fs.makeTempDirectoryScoped()
      const silent = { ...misbehaving("silent"), name: "silent" }
      const server = yield* serve({ data, agents: [silent] })
      const app = yield* server.mint("app")
      const opening = yield* Effect.forkChild(app.request("POST", "/sessions", { body: { agent: "silent" } }))
      yield* Effect.sync(() => processesIn(data)).pipe(eventually("an agent", (pids) => pids.length === 1))
      yield* server.stop
      const refused = yield* Fiber.join(opening)
      assert.deepStrictEqual([refused.status, refused.text], shuttingDown)
      assert.deepStrictEqual(yield* fs.readDirectory(`${data}/sessions`), [])
    }).pipe(Effect.scoped, Effect.provide(NodeFileSystem.layer))
  )
})
