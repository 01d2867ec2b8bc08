import { assert, describe, it } from "@effect/vitest"
import { Context, Deferred, Effect, Fiber, Layer, Scheduler, Stream } from "effect"
import { TestClock } from "effect/testing"
import { ApiError, Conversations, Turn } from "../src/index.ts"
import { layer } from "./support/MemoryServer.ts"
import { type Answer, created, type Received, type Script, ScriptedServer, turn } from "./support/ScriptedServer.ts"
import { framesOf, stream } from "./support/StreamServer.ts"

/** A server of sessions `s-1`, `s-2`, … whose turns repeat their prompts; those that are closed are not there any more. */
const server = (answer: (request: Received) => Answer | undefined | Promise<Answer | undefined> = () => undefined) => {
  const turns = new Map<string, number>()
  const closed = new Set<string>()
  let sessions = 0
  const script: Script = async (request) => {
    const { body, headers, method, path } = request
    const scripted = await answer(request)
    if (scripted !== undefined) return scripted
    if (path === "/sessions") return { json: created(++sessions) }
    const id = path.split("/")[2] ?? ""
    if (method === "DELETE") {
      closed.add(id)
      return { json: { ok: true } }
    }
    const turn_count = turns.get(id) ?? 0
    if (method === "GET") {
      const more = { app_name: "a", last_turn_at: null, turn_count, closed_at: closed.has(id) ? 2 : null, meta: null }
      return { json: { ...created(1), session_id: id, ...more, live: !closed.has(id) } }
    }
    if (closed.has(id)) return { status: 410, json: { detail: "session is closed" } }
    turns.set(id, turn_count + 1)
    const { prompt } = JSON.parse(body) as { readonly prompt: string }
    if (headers.accept?.includes("event-stream") !== true) return { json: turn(id, turn_count + 1, prompt) }
    const { events, ...done } = turn(id, turn_count + 1, prompt)
    return stream(framesOf({ events, done }))
  }
  return { script, turns, closed }
}

const options = {
  lookup: (user: string) => Effect.succeed({ agent: "demo", meta: { user } }),
  idleTimeToLive: "10 minutes",
  capacity: 2
} as const

class Chats extends Conversations.Service<Chats>()("test/Chats", options) {}
class Renewed extends Conversations.Service<Renewed>()("test/Renewed", { ...options, onClosed: "renew" }) {}

const clients = (script: Script) => layer(script, { retry: false })

const withChats = <A, E>(script: Script, test: Effect.Effect<A, E, Chats | Renewed | ScriptedServer>) =>
  test.pipe(Effect.provide(Layer.merge(Chats.layer, Renewed.layer)), Effect.provide(clients(script)))

const requests = Effect.map(ScriptedServer, ({ received }) => received.map(({ method, path }) => `${method} ${path}`))
const opened = Effect.map(requests, (all) => all.filter((request) => request === "POST /sessions").length)
const deleted = Effect.map(requests, (all) => all.filter((request) => request.startsWith("DELETE")))

const ask = (user: string, prompt: string) => Chats.use(user, (session) => session.turn(prompt))

describe("a conversation", () => {
  it.effect("is opened on the first use of its key, and shared by all of them", () =>
    withChats(
      server().script,
      Effect.gen(function* () {
        const answers = yield* Effect.all([ask("ada", "1"), ask("ada", "2"), ask("bob", "3")], {
          concurrency: "unbounded"
        })
        assert.strictEqual(yield* opened, 2)
        assert.strictEqual(answers[0].sessionId, answers[1].sessionId)
        assert.notStrictEqual(answers[0].sessionId, answers[2].sessionId)
        assert.strictEqual((yield* ask("ada", "4")).index, 3)
        const { received } = yield* ScriptedServer
        assert.deepInclude(JSON.parse(received[0]?.body ?? ""), { agent: "demo", meta: { user: "ada" } })
        assert.strictEqual(yield* Chats.use("ada", ({ generation }) => Effect.succeed(generation)), 1)
      })
    )
  )

  it.effect("can be streamed, and is in use until the stream has ended", () =>
    withChats(
      server().script,
      Effect.gen(function* () {
        const reading = yield* Deferred.make<void>()
        const goOn = yield* Deferred.make<void>()
        const texts = Chats.stream("ada", (session) => Turn.texts(session.stream("hello"))).pipe(
          Stream.tap(() => Effect.andThen(Deferred.succeed(reading, undefined), Deferred.await(goOn))),
          Stream.mkString
        )
        const fiber = yield* Effect.forkChild(texts)
        yield* Deferred.await(reading)
        yield* TestClock.adjust("1 hour")
        assert.isEmpty(yield* deleted)
        yield* Deferred.succeed(goOn, undefined)
        assert.strictEqual(yield* Fiber.join(fiber), "hello")
        yield* TestClock.adjust("11 minutes")
        assert.lengthOf(yield* deleted, 1)
      })
    )
  )

  it.effect("whose opening failed is opened again by its next use", () => {
    let tries = 0
    const failing = server(({ path }) =>
      path === "/sessions" && ++tries === 1 ? { status: 503, json: { detail: "session pool is full" } } : undefined
    )
    return withChats(
      failing.script,
      Effect.gen(function* () {
        const both = yield* Effect.all([Effect.flip(ask("ada", "1")), Effect.flip(ask("ada", "2"))], {
          concurrency: "unbounded"
        })
        for (const error of both) assert.deepInclude(error, { status: 503, outcome: "refused" })
        assert.strictEqual((yield* ask("ada", "3")).text, "3")
      })
    )
  })

  it.effect("makes room on a server that has none, and keeps to what room it has", () => {
    const { script } = server(({ method, path }) => {
      if (method === "DELETE") open--
      if (path !== "/sessions" || method !== "POST") return undefined
      if (open === 1) return { status: 429, json: { detail: "too many requests" } }
      open++
      return undefined
    })
    let open = 0
    return withChats(
      script,
      Effect.gen(function* () {
        for (const user of ["ada", "bob", "eve", "ada"]) assert.strictEqual((yield* ask(user, user)).text, user)
        const all = yield* requests
        assert.lengthOf(
          all.filter((request) => request === "POST /sessions"),
          5
        )
        assert.lengthOf(yield* deleted, 3)
        const busy = Chats.use("ada", () => Effect.flip(ask("bob", "1")))
        assert.deepInclude(yield* busy, { status: 429, outcome: "refused" })
      })
    )
  })

  it.effect("is opened for its other users when the first one is interrupted", () => {
    const { promise, resolve } = Promise.withResolvers<undefined>()
    const slow = server(({ path }) => (path === "/sessions" ? promise : undefined))
    return withChats(
      slow.script,
      Effect.gen(function* () {
        const first = yield* Effect.forkChild(ask("ada", "1"), { startImmediately: true })
        const second = yield* Effect.forkChild(ask("ada", "2"), { startImmediately: true })
        yield* Fiber.interrupt(first)
        resolve(undefined)
        assert.strictEqual((yield* Fiber.join(second)).text, "2")
        assert.strictEqual(yield* opened, 1)
      })
    )
  })

  it.effect("is closed once it has been idle, and not before", () =>
    withChats(
      server().script,
      Effect.gen(function* () {
        yield* ask("ada", "1")
        yield* TestClock.adjust("9 minutes")
        yield* ask("ada", "2")
        yield* TestClock.adjust("9 minutes")
        assert.deepStrictEqual(yield* deleted, [])
        const inUse = yield* Effect.forkChild(
          Chats.use("ada", () => Effect.never),
          { startImmediately: true }
        )
        yield* TestClock.adjust("1 hour")
        assert.deepStrictEqual(yield* deleted, [])
        yield* Fiber.interrupt(inUse)
        yield* TestClock.adjust("10 minutes")
        assert.deepStrictEqual(yield* deleted, ["DELETE /sessions/s-1"])
        assert.strictEqual((yield* ask("ada", "3")).sessionId, "s-2")
      })
    )
  )

  it.effect("makes room by closing the one that has been idle longest, and fails where all are in use", () =>
    withChats(
      server().script,
      Effect.gen(function* () {
        yield* ask("ada", "1")
        yield* TestClock.adjust("1 minute")
        yield* ask("bob", "2")
        yield* TestClock.adjust("1 minute")
        yield* ask("ada", "3")
        yield* TestClock.adjust("1 minute")
        const gate = yield* Deferred.make<void>()
        const cleo = yield* Effect.forkChild(
          Chats.use("cleo", () => Deferred.await(gate)),
          { startImmediately: true }
        )
        yield* TestClock.adjust(0)
        assert.deepStrictEqual(yield* deleted, ["DELETE /sessions/s-2"])
        const error = yield* Effect.flip(Chats.use("ada", () => ask("dan", "4")))
        assert.isTrue(ApiError.is(503)(error))
        assert.deepNestedInclude(error, {
          outcome: "not-sent",
          "reason._tag": "PoolFull",
          message: "all 2 conversations are in use"
        })
        yield* Deferred.succeed(gate, undefined)
        yield* Fiber.join(cleo)
        assert.strictEqual((yield* ask("dan", "5")).text, "5")
      })
    )
  )

  it.effect("ends with its layer, all of them at once", () => {
    const { promise, resolve } = Promise.withResolvers<undefined>()
    const slow = server(({ method }) => (method === "DELETE" ? promise : undefined))
    return Effect.gen(function* () {
      const ending = yield* Effect.forkChild(
        Effect.andThen(ask("ada", "1"), ask("bob", "2")).pipe(Effect.provide(Chats.layer)),
        { startImmediately: true }
      )
      const { arrival } = yield* ScriptedServer
      yield* arrival(6)
      assert.sameMembers(yield* deleted, ["DELETE /sessions/s-1", "DELETE /sessions/s-2"])
      resolve(undefined)
      yield* Fiber.join(ending)
    }).pipe(Effect.provide(clients(slow.script)))
  })

  it.effect("is opened in the context of the layer, whoever uses it first", () => {
    class Tenant extends Context.Service<Tenant, string>()("test/Tenant") {}
    class Tenants extends Conversations.Service<Tenants>()("test/Tenants", {
      lookup: (user: string) => Effect.map(Tenant, (tenant) => ({ agent: "demo", meta: { tenant, user } }))
    }) {}
    return Effect.gen(function* () {
      yield* Effect.provideService(
        Tenants.use("ada", (session) => session.turn("1")),
        Tenant,
        "the user's"
      )
      const { received } = yield* ScriptedServer
      assert.deepInclude(JSON.parse(received[0]?.body ?? ""), { meta: { tenant: "the layer's", user: "ada" } })
    }).pipe(
      Effect.provide(Layer.provide(Tenants.layer, Layer.succeed(Tenant, "the layer's"))),
      Effect.provide(clients(server().script))
    )
  })
})

it.live("interrupts at every point of its use leave no session open, and none in use", () => {
  const { closed, script } = server()
  return Effect.gen(function* () {
    const { received } = yield* ScriptedServer
    yield* Effect.gen(function* () {
      for (let operations = 3; operations <= 16; operations++) {
        for (let step = 0; step < 20; step++) {
          const use = ask(`user ${step % 3}`, `${operations}/${step}`)
          const fiber = yield* Effect.forkChild(Effect.provideService(use, Scheduler.MaxOpsBeforeYield, operations))
          for (let at = 0; at < step; at++) yield* Effect.yieldNow
          yield* Fiber.interrupt(fiber)
        }
      }
      // With room for two, a use that was not released would leave none for the third.
      for (const user of ["a", "b", "c"]) yield* ask(user, "last")
    }).pipe(Effect.provide(Chats.layer))
    const made = received.filter(({ method, path }) => method === "POST" && path === "/sessions").length
    assert.isAbove(made, 10)
    assert.strictEqual(closed.size, made)
    const prompts = received.filter(({ path }) => path.endsWith("/turn")).map(({ body }) => body)
    assert.strictEqual(new Set(prompts.filter((body) => !body.includes("last"))).size, prompts.length - 3)
  }).pipe(Effect.provide(clients(script)))
})

describe("a conversation whose session the server has closed", () => {
  it.effect("fails, and has another session for its next use", () => {
    const { closed, script } = server()
    return withChats(
      script,
      Effect.gen(function* () {
        yield* ask("ada", "1")
        closed.add("s-1")
        assert.deepInclude(yield* Effect.flip(ask("ada", "2")), { _tag: "SessionClosed", by: "server" })
        assert.strictEqual((yield* ask("ada", "3")).sessionId, "s-2")
      })
    )
  })

  it.effect("goes on in another session, which its caller can see, for each of its users", () => {
    const { closed, script, turns } = server()
    return withChats(
      script,
      Effect.gen(function* () {
        yield* Renewed.use("ada", (session) =>
          Effect.gen(function* () {
            yield* session.turn("1")
            closed.add("s-1")
            const both = yield* Effect.all([session.turn("2"), session.turn("3")], { concurrency: "unbounded" })
            assert.deepStrictEqual(
              both.map(({ sessionId }) => String(sessionId)),
              ["s-2", "s-2"]
            )
            assert.strictEqual(session.generation, 2)
            closed.add("s-2")
            const parts = yield* Stream.runCollect(session.stream("4"))
            assert.lengthOf(parts, 2)
            assert.strictEqual((yield* Turn.run(session.stream("5"))).index, 2)
            assert.deepEqual([String(session.id), session.generation], ["s-3", 3])
          })
        )
        assert.deepStrictEqual([...turns.values()], [1, 2, 2])
      })
    )
  })

  it.effect("does not repeat a turn that was cut short: the agent had it", () => {
    const { closed, script, turns } = server(({ body, path }) => {
      if (!path.endsWith("/turn") || !body.includes("cut")) return undefined
      closed.add("s-1")
      turns.set("s-1", 2)
      return { status: 410, json: { detail: "session is closed" } }
    })
    return withChats(
      script,
      Effect.gen(function* () {
        yield* Renewed.use("ada", (session) => session.turn("1"))
        const error = yield* Effect.flip(Renewed.use("ada", (session) => session.turn("cut")))
        assert.deepInclude(error, { _tag: "SessionClosed", by: "server" })
        const sent = (yield* ScriptedServer).received.filter(({ body }) => body.includes("cut"))
        assert.lengthOf(sent, 1)
        const { generation, index } = yield* Renewed.use("ada", (session) =>
          Effect.map(session.turn("2"), ({ index }) => ({ index, generation: session.generation }))
        )
        assert.deepStrictEqual([generation, index], [2, 1])
      })
    )
  })
})
