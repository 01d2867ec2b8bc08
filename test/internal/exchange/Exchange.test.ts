/**
 * The deadlines of calls: how long each waits, and what is left when it times out.
 */
import { assert, describe, it } from "@effect/vitest"
import { Deferred, Duration, Effect, Fiber, Layer, Logger, References, Stream } from "effect"
import { FetchHttpClient } from "effect/http"
import { TestClock } from "effect/testing"
import { Forge, ForgeClient, Upload } from "../../../src/index.ts"
import { NodeForgeClient } from "../../../src/node/index.ts"
import { Calls } from "../../support/Calls.ts"
import { type Failed, health, type Kind, layerClients, operations } from "../../support/Clients.ts"
import * as Memory from "../../support/Memory.ts"
import { calls, layerClients as layerScripted } from "../../support/Operations.ts"
import { patience } from "../../support/Patience.ts"
import * as Connections from "../../support/Connections.ts"
import { failing } from "../../support/Conversation.ts"
import { type Answer, created, layer, ScriptedServer, start, turn } from "../../support/ScriptedServer.ts"

const seconds = (count: number) => count * 1000

/** The default deadlines, in milliseconds. */
const deadlines: Record<string, number> = {
  health: seconds(30),
  agents: seconds(30),
  create: seconds(60),
  list: seconds(30),
  state: seconds(30),
  turn: seconds(150),
  cancel: seconds(30),
  close: seconds(5),
  run: seconds(150),
  upload: seconds(60),
  mint: seconds(30),
  tokens: seconds(30),
  revoke: seconds(30)
}

/** Asserts when a call to a silent server times out. */
const givesUp = <E extends Failed, R>(call: Effect.Effect<unknown, E, R>, millis: number) =>
  Effect.gen(function* () {
    const fiber = yield* Effect.forkChild(Effect.flip(call), { startImmediately: true })
    yield* TestClock.adjust(millis - 1)
    assert.strictEqual(fiber.pollUnsafe(), undefined, "it gave up too early")
    yield* TestClock.adjust(1)
    assert.notStrictEqual(fiber.pollUnsafe(), undefined, "it still waits")
    const error: Failed = yield* Fiber.join(fiber)
    assert.deepInclude(error, { _tag: "TransportError", outcome: "unknown" })
    const after = error._tag === "TransportError" && error.reason._tag === "Timeout" ? error.reason.after : undefined
    assert.strictEqual(after === undefined ? undefined : Duration.toMillis(after), millis)
  })

const silentServer = Memory.make(() => Effect.never).layer

describe("a call to a silent server times out after", () => {
  for (const { call, name } of operations) {
    const millis = deadlines[name] ?? 0
    it.effect(`${millis / 1000} seconds: ${name}`, () =>
      givesUp(call, millis).pipe(Effect.provide(layerClients("http://forge", false)), Effect.provide(silentServer))
    )
  }

  const id = "s-1" as never
  const turnWithin = (timeout: Duration.Input) => Calls.use((calls) => calls.turn(id, "hello", { timeout }))
  const set: ReadonlyArray<readonly [string, Effect.Effect<unknown, Failed, ForgeClient.ForgeClient | Calls>, number]> =
    [
      ["30 seconds longer than the agent may work on a turn", turnWithin("10 minutes"), seconds(630)],
      ["30 seconds longer than a turn of no time", turnWithin(0), seconds(30)],
      ["30 seconds longer than the agent may work on a run", Forge.run("hello", { timeout: "1 second" }), seconds(31)],
      [
        "as long as an upload says",
        Forge.upload(Upload.fromBytes("a", new Uint8Array(1)), { timeout: "5 minutes" }),
        seconds(300)
      ]
    ]
  for (const [name, call, millis] of set) {
    it.effect(name, () =>
      givesUp(call, millis).pipe(Effect.provide(layerClients("http://forge", false)), Effect.provide(silentServer))
    )
  }
})

describe("a silent server gets each call again if that is harmless", () => {
  const sent: Record<Kind | "remembered", number> = { idempotent: 3, keyed: 1, remembered: 3, once: 1 }
  for (const features of [[], ["idempotency"]]) {
    it.effect(features.length === 0 ? "if it does not support idempotency" : "if it supports idempotency", () =>
      Effect.gen(function* () {
        for (const { call, kind, name, request } of operations) {
          const memory = Memory.make((one) =>
            one.request === "GET /healthz" && name !== "health"
              ? Effect.succeed({ json: health(features) })
              : Effect.never
          )
          const clients = Layer.provide(layerClients("http://forge", { times: 2, budget: "1 hour" }), memory.layer)
          const fiber = yield* Effect.forkChild(Effect.provide(Effect.flip(call), clients), { startImmediately: true })
          yield* TestClock.adjust("1 hour")
          yield* Fiber.join(fiber)
          const expected = sent[kind === "keyed" && features.length > 0 ? "remembered" : kind]
          assert.strictEqual(memory.sent.filter((one) => one.request === request).length, expected, name)
        }
      })
    )
  }
})

describe("a session whose server falls silent", () => {
  const silentAfterCreate = (features: ReadonlyArray<string>) => {
    let turns = 0
    return Memory.make(({ request }) => {
      if (request === "POST /sessions") return Effect.succeed({ json: created(1) })
      if (request === "GET /healthz") return Effect.succeed({ json: health(features) })
      if (request === "GET /sessions/s-1") return Effect.succeed({ json: calls["state"]?.good })
      if (request.endsWith("/turn") && ++turns > 1) return Effect.succeed({ json: turn("s-1", 2, "next") })
      return Effect.never
    })
  }

  /** Runs with a client whose own end, which waits for what is left, does not hold up the test. */
  const withClient = <E>(
    memory: ReturnType<typeof Memory.make>,
    program: Effect.Effect<void, E, ForgeClient.ForgeClient>
  ) =>
    Effect.gen(function* () {
      const done = yield* Deferred.make<void>()
      const fiber = yield* program.pipe(
        Effect.ensuring(Deferred.succeed(done, undefined)),
        Effect.provide(layerClients("http://forge")),
        Effect.provide(memory.layer),
        Effect.forkChild
      )
      yield* Deferred.await(done)
      yield* TestClock.adjust("1 hour")
      yield* Fiber.join(fiber)
    })

  /** Ends a client while an abandoned create is pending, and collects its log. */
  const endWhileOpening = Effect.gen(function* () {
    const logged: Array<string> = []
    const logger = Logger.make(({ message }) => {
      logged.push(String(message))
    })
    const opening = Effect.gen(function* () {
      const fiber = yield* Effect.forkChild(Effect.scoped(Forge.session()), { startImmediately: true })
      yield* Fiber.interrupt(fiber)
    })
    const fiber = yield* opening.pipe(
      Effect.provide(layerClients("http://forge")),
      Effect.provideService(References.CurrentLoggers, new Set([logger])),
      Effect.forkChild({ startImmediately: true })
    )
    return { fiber, logged }
  })

  it.effect("delays the end of its scope by 5 seconds, and keeps the program's result", () =>
    withClient(
      silentAfterCreate([]),
      Effect.gen(function* () {
        const done = Forge.withSession({}, () => Effect.succeed("done"))
        const fiber = yield* Effect.forkChild(done, { startImmediately: true })
        yield* TestClock.adjust(seconds(5) - 1)
        assert.strictEqual(fiber.pollUnsafe(), undefined)
        yield* TestClock.adjust(1)
        assert.strictEqual(yield* Fiber.join(fiber), "done")
      })
    )
  )

  it.effect("delays the end of a scope of ten sessions by 5 seconds in total", () => {
    const memory = silentAfterCreate([])
    return withClient(
      memory,
      Effect.gen(function* () {
        const ten = Effect.scoped(Effect.replicateEffect(Forge.session(), 10))
        const fiber = yield* Effect.forkChild(ten, { startImmediately: true })
        yield* TestClock.adjust(seconds(5) - 1)
        assert.strictEqual(fiber.pollUnsafe(), undefined)
        yield* TestClock.adjust(1)
        yield* Fiber.join(fiber)
        const deletes = memory.sent.filter(({ request }) => request.startsWith("DELETE"))
        assert.deepStrictEqual(
          deletes.map(({ at }) => at),
          Array.from({ length: 10 }, () => 0)
        )
      })
    )
  })

  it.effect("delays its next turn by 5 seconds, for the cancel of an interrupted one", () => {
    const memory = silentAfterCreate(["cancel"])
    return withClient(
      memory,
      Effect.gen(function* () {
        const session = yield* Forge.attach("s-1" as never)
        const first = yield* Effect.forkChild(session.turn("first"), { startImmediately: true })
        yield* Fiber.interrupt(first)
        const next = yield* Effect.forkChild(session.turn("next"), { startImmediately: true })
        yield* TestClock.adjust(seconds(5) - 1)
        assert.strictEqual(memory.sent.at(-1)?.request, "POST /sessions/s-1/cancel")
        yield* TestClock.adjust(1)
        assert.strictEqual((yield* Fiber.join(next)).text, "next")
      })
    )
  })

  it.effect("delays the end of its client by 5 seconds if its create was interrupted", () => {
    const { layer: silent } = Memory.make(() => Effect.never)
    return Effect.gen(function* () {
      const { fiber, logged } = yield* endWhileOpening
      yield* TestClock.adjust(seconds(5) - 1)
      assert.strictEqual(fiber.pollUnsafe(), undefined)
      assert.deepStrictEqual(logged, [])
      yield* TestClock.adjust(1)
      yield* Fiber.join(fiber)
      assert.lengthOf(logged, 1)
      assert.match(logged[0] ?? "", /^a session was requested, .* if it was created, it stays open/)
    }).pipe(Effect.provide(silent))
  })

  it.effect("reports a close that the end of its client cut short", () => {
    const { layer: silent } = Memory.make(({ request }) =>
      request === "POST /sessions" ? Effect.delay(Effect.succeed({ json: created(1) }), "3 seconds") : Effect.never
    )
    return Effect.gen(function* () {
      const { fiber, logged } = yield* endWhileOpening
      yield* TestClock.adjust("5 seconds")
      yield* Fiber.join(fiber)
      assert.lengthOf(logged, 1)
      assert.match(logged[0] ?? "", /^session s-1 could not be closed, .*: its client was gone before/)
    }).pipe(Effect.provide(silent))
  })
})

describe.concurrent("a call that times out closes", () => {
  const part = '{"file_token": '
  const hanging: Record<string, Answer> = {
    "a connection before the headers": "silence",
    "a connection in a body of known length": { text: part, hang: true, headers: { "content-length": "100" } },
    "a connection in a body of unknown length": { text: part, hang: true },
    "a connection in the body of a failure": {
      status: 503,
      text: part,
      hang: true,
      headers: { "content-length": "100" }
    }
  }
  for (const [name, answer] of Object.entries(hanging)) {
    it.live(name, () =>
      Effect.gen(function* () {
        const { received } = yield* ScriptedServer
        // A request that times out before it arrives shows nothing.
        do {
          const error = yield* Effect.flip(
            Forge.upload(Upload.fromBytes("a", new Uint8Array(1)), { timeout: "100 millis" })
          )
          assert.strictEqual(error._tag === "TransportError" && error.reason._tag, "Timeout")
        } while (received.length === 0)
        for (const request of received) yield* Deferred.await(request.aborted)
      }).pipe(Effect.timeout(patience), Effect.provide(layer(() => answer, { retry: false })))
    )
  }

  it.live("the connection of a redirect, without waiting for its body", () =>
    Effect.gen(function* () {
      const { received } = yield* ScriptedServer
      const error = yield* Effect.flip(Forge.upload(Upload.fromBytes("a", new Uint8Array(1))))
      assert.strictEqual(error._tag === "TransportError" && error.reason._tag, "Malformed")
      for (const request of received) yield* Deferred.await(request.aborted)
      assert.lengthOf(received, 1)
    }).pipe(
      Effect.timeout(patience),
      Effect.provide(layer(() => ({ status: 302, text: part, hang: true }), { retry: false }))
    )
  )

  it.live("a file that is read too slowly", () =>
    Effect.gen(function* () {
      const closed = yield* Deferred.make<void>()
      const slow = Stream.fromEffectRepeat(Effect.delay(Effect.succeed(new Uint8Array(1)), "10 millis"))
      const source = Upload.fromStream("slow", Stream.ensuring(slow, Deferred.succeed(closed, undefined)))
      const error = yield* Effect.flip(Forge.upload(source, { timeout: "100 millis" }))
      assert.strictEqual(error._tag === "TransportError" && error.reason._tag, "Timeout")
      yield* Deferred.await(closed)
    }).pipe(Effect.timeout(patience), Effect.provide(layer(() => ({ json: {} }))))
  )
})

it.live("a slow answer is read until the deadline", () =>
  Effect.gen(function* () {
    const body = JSON.stringify(health())
    const trickle = Connections.tcp((socket) => {
      socket.once("data", () => {
        socket.write(`HTTP/1.1 200 OK\r\nContent-Length: ${body.length}\r\n\r\n`)
        const next = (at: number) => {
          if (at < body.length) socket.write(body[at] ?? "", () => setTimeout(next, 2, at + 1))
        }
        next(0)
      })
    })
    const { port } = yield* trickle
    const answer = yield* Effect.provide(Forge.health, layerClients(`http://127.0.0.1:${port}`)).pipe(
      Effect.provide(NodeForgeClient.layerHttpClient)
    )
    assert.isTrue(answer.ok)
  }).pipe(Effect.scoped)
)

describe("seed: a redirect is never followed", () => {
  const follow = Layer.succeed(FetchHttpClient.RequestInit, { redirect: "follow" })
  const clients = {
    undici: NodeForgeClient.layerHttpClient,
    fetch: FetchHttpClient.layer,
    "fetch with redirect: follow": Layer.merge(FetchHttpClient.layer, follow)
  }
  for (const [client, http] of Object.entries(clients)) {
    for (const status of [301, 302, 303, 304, 307, 308]) {
      it.live(`${client}, ${status}`, () =>
        Effect.gen(function* () {
          const elsewhere = yield* start(() => ({ json: calls["state"]?.good }))
          const answer = { status, headers: { location: `${elsewhere.url}/sessions/s-1` } }
          for (const [name, { call }] of Object.entries(calls)) {
            const { error, sent } = yield* Effect.provide(
              failing(call),
              layerScripted(() => answer, { http })
            )
            assert.deepNestedInclude(
              error,
              { _tag: "TransportError", "reason._tag": "Malformed", outcome: "unknown", "reason.status": status },
              name
            )
            assert.include(error.message, status === 304 ? "neither a success nor a failure" : "a redirect", name)
            assert.strictEqual(sent.length, 1, name)
          }
          assert.deepStrictEqual(elsewhere.received, [])
        })
      )
    }
  }
})
