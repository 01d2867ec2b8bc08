/**
 * An interrupt in each phase of a call: what was sent, what is left, and what the next turn sees. In these tests the server
 * never sends what an interrupt must not wait for, so an interrupt that waits does not return.
 */
import { assert, describe, it } from "@effect/vitest"
import { Deferred, Effect, Fiber, Layer } from "effect"
import { TestClock } from "effect/testing"
import { Forge, ForgeClient, type Session } from "../src/index.ts"
import { NodeForgeClient } from "../src/node/index.ts"
import { health, layerClients } from "./support/Clients.ts"
import { Calls } from "./support/Calls.ts"
import * as Connections from "./support/Connections.ts"
import * as Memory from "./support/Memory.ts"
import * as MemoryServer from "./support/MemoryServer.ts"
import { patience } from "./support/Patience.ts"
import {
  type Answer,
  created,
  held,
  layer,
  layerServer,
  type Received,
  type Script,
  ScriptedServer,
  turn
} from "./support/ScriptedServer.ts"

/** Clients that connect like those of a program. */
const clientsOf = (...options: Parameters<typeof layerClients>) =>
  Layer.provide(layerClients(...options), NodeForgeClient.layerHttpClient)

const requests = ScriptedServer.useSync(({ received }) =>
  received.map(({ body, method, path }) =>
    `${method} ${path} ${path.endsWith("/turn") ? JSON.parse(body).prompt : ""}`.trim()
  )
)

/** A server that answers some prompts and requests specially, and every other normally. */
const server = (
  special: Readonly<Record<string, Answer | Promise<Answer>>>,
  features: ReadonlyArray<string> = []
): Script => {
  const usual = ({ body, method, path }: Received): Answer | Promise<Answer> => {
    if (path === "/healthz") return { json: health(features) }
    if (path === "/sessions") return { json: created(1) }
    if (method === "DELETE") return { json: { ok: true } }
    if (path.endsWith("/cancel")) return { json: { ok: true, cancelled: true } }
    const { prompt } = JSON.parse(body) as { readonly prompt: string }
    return special[prompt] ?? { json: turn("s-1", 1, prompt) }
  }
  return (request) => special[`${request.method} ${request.path}`] ?? usual(request)
}

const arrival = (nth: number) => ScriptedServer.use((scripted) => scripted.arrival(nth))

/** Interrupts a turn once the server has received it, and waits until its connection is closed. */
const interruptInFlight = Effect.fnUntraced(function* (session: Session.Session, prompt: string) {
  const { received } = yield* ScriptedServer
  const nth = received.length + 1
  const fiber = yield* Effect.forkChild(session.turn(prompt), { startImmediately: true })
  const request = yield* arrival(nth)
  yield* Fiber.interrupt(fiber)
  yield* Deferred.await(request.aborted)
})

const opened = Forge.session({ agent: "demo" })

describe("an interrupt while a turn", () => {
  it.live("waits for its permit keeps it from being sent, and the next one gets the permit", () => {
    const first = held({ json: turn("s-1", 1, "first") })
    return Effect.gen(function* () {
      const session = yield* opened
      const ahead = yield* Effect.forkChild(session.turn("first"), { startImmediately: true })
      yield* arrival(2)
      const waiting = yield* Effect.forkChild(session.turn("second"), { startImmediately: true })
      yield* Fiber.interrupt(waiting)
      const behind = yield* Effect.forkChild(session.turn("third"), { startImmediately: true })
      yield* first.release
      yield* Fiber.joinAll([ahead, behind])
      assert.deepStrictEqual(yield* requests, [
        "POST /sessions",
        "POST /sessions/s-1/turn first",
        "POST /sessions/s-1/turn third"
      ])
    }).pipe(Effect.scoped, Effect.provide(layer(server({ first: first.promise }))))
  })

  it.live("connects sends nothing, and leaves no connection", () =>
    Effect.gen(function* () {
      const server = yield* Connections.tcp(() => {})
      yield* Effect.gen(function* () {
        const turn = Calls.use((calls) => calls.turn("s-1" as never, "hello"))
        const fiber = yield* Effect.forkChild(turn, { startImmediately: true })
        yield* server.connected
        // Sooner than the connection attempt times out.
        yield* Effect.timeout(Fiber.interrupt(fiber), "9 seconds")
      }).pipe(Effect.provide(clientsOf(`https://127.0.0.1:${server.port}`)))
      yield* server.quiet
      assert.notInclude(server.received(), "POST")
      assert.strictEqual(server.connections(), 1)
    }).pipe(Effect.scoped, Effect.timeout(patience))
  )

  it.live("is being sent to a server that does not read closes its connection", () =>
    Effect.gen(function* () {
      const server = yield* Connections.tcp((socket) => socket.pause())
      yield* Effect.gen(function* () {
        const large = "x".repeat(32 * 1024 * 1024)
        const turn = Calls.use((calls) => calls.turn("s-1" as never, large))
        const fiber = yield* Effect.forkChild(turn, { startImmediately: true })
        yield* server.connected
        yield* Fiber.interrupt(fiber)
        yield* server.quiet
      }).pipe(Effect.provide(clientsOf(`http://127.0.0.1:${server.port}`)))
    }).pipe(Effect.scoped)
  )

  it.live("waits for its answer closes the connection, and the next one is sent", () =>
    Effect.gen(function* () {
      const session = yield* opened
      yield* interruptInFlight(session, "silent")
      assert.strictEqual((yield* session.turn("next")).text, "next")
    }).pipe(Effect.scoped, Effect.provide(layer(server({ silent: "silence" }))))
  )

  const bodies: Record<string, Answer> = {
    "of known length": { text: "{", hang: true, headers: { "content-length": "100" } },
    "of unknown length": { text: "{", hang: true },
    "of a failure": { status: 502, text: "{", hang: true }
  }
  for (const [name, answer] of Object.entries(bodies)) {
    it.live(`reads an answer ${name} closes the connection, and the next one is sent`, () =>
      Effect.gen(function* () {
        const session = yield* opened
        yield* interruptInFlight(session, "hanging")
        assert.strictEqual((yield* session.turn("next")).text, "next")
      }).pipe(Effect.scoped, Effect.provide(layer(server({ hanging: answer }))))
    )
  }

  it.live("pauses before a retry keeps it from being sent again, and sends no cancel", () =>
    Effect.gen(function* () {
      const session = yield* opened
      const fiber = yield* Effect.forkChild(session.turn("limited"), { startImmediately: true })
      yield* arrival(2)
      // Once the same server has answered another call, the answer is read and the pause has begun.
      yield* Forge.health
      yield* Fiber.interrupt(fiber)
      assert.strictEqual((yield* session.turn("next")).text, "next")
      assert.deepStrictEqual(yield* requests, [
        "POST /sessions",
        "POST /sessions/s-1/turn limited",
        "GET /healthz",
        "POST /sessions/s-1/turn next"
      ])
    }).pipe(
      Effect.scoped,
      Effect.provide(layer(server({ limited: { status: 429, headers: { "retry-after": "20" } } }, ["cancel"])))
    )
  )

  it.live("pauses before a retry cancels it if the agent may be at work on it", () =>
    Effect.gen(function* () {
      const session = yield* opened
      const fiber = yield* Effect.forkChild(session.turn("broken"), { startImmediately: true })
      yield* arrival(2)
      yield* Forge.health
      yield* Fiber.interrupt(fiber)
      yield* session.turn("next")
      assert.deepStrictEqual((yield* requests).slice(-3), [
        "GET /healthz",
        "POST /sessions/s-1/cancel",
        "POST /sessions/s-1/turn next"
      ])
    }).pipe(
      Effect.scoped,
      Effect.provide(
        layer(server({ broken: "reset" }, ["cancel", "idempotency"]), {
          retry: { pause: "20 seconds", maxPause: "20 seconds" }
        })
      )
    )
  )
})

describe("an interrupted turn and a server that", () => {
  /** The requests until a client has ended, which waits for its background work. */
  const sentBy = <E>(script: Script, program: Effect.Effect<void, E, ForgeClient.ForgeClient | ScriptedServer>) =>
    Effect.gen(function* () {
      const { url } = yield* ScriptedServer
      yield* Effect.provide(program, clientsOf(url, { pause: "1 millis" }))
      return yield* requests
    }).pipe(Effect.provide(layerServer(script)))

  it.live("refused it at first and supports cancel is sent a cancel", () => {
    const usual = server({ silent: "silence" }, ["cancel"])
    const script: Script = (request, nth) => (nth === 2 ? { status: 429 } : usual(request, nth))
    const program = Effect.gen(function* () {
      const session = yield* opened
      const fiber = yield* Effect.forkChild(session.turn("silent"), { startImmediately: true })
      yield* arrival(3)
      yield* Fiber.interrupt(fiber)
      // It waits for the cancel.
      yield* session.turn("next")
    })
    return Effect.map(sentBy(script, Effect.scoped(program)), (sent) =>
      assert.deepStrictEqual(sent.slice(2), [
        "POST /sessions/s-1/turn silent",
        "GET /healthz",
        "POST /sessions/s-1/cancel",
        "POST /sessions/s-1/turn next",
        "DELETE /sessions/s-1"
      ])
    )
  })

  it.live("supports cancel is sent none for a turn whose session is being closed", () => {
    const closing = held({ json: { ok: true } })
    const script = server({ silent: "silence", "DELETE /sessions/s-1": closing.promise }, ["cancel"])
    const program = Effect.gen(function* () {
      const session = yield* opened
      const turn = yield* Effect.forkChild(session.turn("silent"), { startImmediately: true })
      yield* arrival(2)
      const close = yield* Effect.forkChild(session.close, { startImmediately: true })
      yield* arrival(3)
      yield* Fiber.interrupt(turn)
      yield* closing.release
      yield* Fiber.join(close)
    })
    return Effect.map(sentBy(script, Effect.scoped(program)), (sent) =>
      assert.deepStrictEqual(sent.slice(1), ["POST /sessions/s-1/turn silent", "DELETE /sessions/s-1"])
    )
  })

  it.live("supports cancel is sent a cancel, and the next turn waits for its answer", () => {
    const cancel = held({ json: { ok: true, cancelled: true } })
    const script = server({ silent: "silence", "POST /sessions/s-1/cancel": cancel.promise }, ["cancel"])
    return Effect.gen(function* () {
      const session = yield* opened
      yield* interruptInFlight(session, "silent")
      const next = yield* Effect.forkChild(session.turn("next"), { startImmediately: true })
      yield* arrival(4)
      yield* Forge.health
      const before = [
        "POST /sessions",
        "POST /sessions/s-1/turn silent",
        "GET /healthz",
        "POST /sessions/s-1/cancel",
        "GET /healthz"
      ]
      assert.deepStrictEqual(yield* requests, before)
      const { received } = yield* ScriptedServer
      const [, silent, , cancelled] = received.map(({ headers }) => headers["idempotency-key"])
      assert.isString(silent)
      assert.strictEqual(cancelled, silent)
      yield* cancel.release
      yield* Fiber.join(next)
      assert.deepStrictEqual(yield* requests, [...before, "POST /sessions/s-1/turn next"])
    }).pipe(Effect.scoped, Effect.provide(layer(script)))
  })

  it.live("supports cancel is not sent a turn that was interrupted while it waited for that answer", () => {
    const cancel = held({ json: { ok: true, cancelled: true } })
    const script = server({ silent: "silence", "POST /sessions/s-1/cancel": cancel.promise }, ["cancel"])
    return Effect.gen(function* () {
      const session = yield* opened
      yield* interruptInFlight(session, "silent")
      const second = yield* Effect.forkChild(session.turn("second"), { startImmediately: true })
      yield* arrival(4)
      yield* Fiber.interrupt(second)
      yield* cancel.release
      yield* session.turn("third")
      const all = yield* requests
      assert.notInclude(all, "POST /sessions/s-1/turn second")
      assert.strictEqual(all.filter((request) => request.endsWith("/cancel")).length, 1)
    }).pipe(Effect.scoped, Effect.provide(layer(script)))
  })

  it.live("supports cancel is sent no key by session.cancel, which cancels the turn in flight", () =>
    Effect.gen(function* () {
      const session = yield* opened
      assert.isTrue(yield* session.cancel)
      const { received } = yield* ScriptedServer
      assert.strictEqual(received[1]?.path, "/sessions/s-1/cancel")
      assert.notProperty(received[1]?.headers, "idempotency-key")
    }).pipe(Effect.scoped, Effect.provide(layer(server({}, ["cancel"]))))
  )

  it.live("does not support cancel is sent none, and the next turn is sent", () =>
    Effect.gen(function* () {
      const session = yield* opened
      yield* interruptInFlight(session, "silent")
      yield* session.turn("next")
      assert.deepStrictEqual(yield* requests, [
        "POST /sessions",
        "POST /sessions/s-1/turn silent",
        "GET /healthz",
        "POST /sessions/s-1/turn next"
      ])
    }).pipe(Effect.scoped, Effect.provide(layer(server({ silent: "silence" }, ["stream"]))))
  )
})

describe("an interrupt while a session", () => {
  it.effect("is being created, in the pause before a retry, returns at once, and the create is not tried again", () => {
    const { layer, sent } = Memory.make(() => Effect.succeed({ status: 429, headers: { "retry-after": "20" } }))
    return Effect.gen(function* () {
      const fiber = yield* Effect.forkChild(Effect.scoped(opened), { startImmediately: true })
      yield* TestClock.adjust("1 second")
      yield* Fiber.interrupt(fiber)
      yield* TestClock.adjust("1 hour")
      assert.deepStrictEqual(
        sent.map(({ request }) => request),
        ["POST /sessions"]
      )
    }).pipe(Effect.provide(layerClients("http://forge")), Effect.provide(layer))
  })

  it.live("is being closed lets the request go on, and the next close gets its result", () => {
    const closing = held({ json: { ok: true } })
    return Effect.gen(function* () {
      const session = yield* opened
      const fiber = yield* Effect.forkChild(session.close, { startImmediately: true })
      yield* arrival(2)
      yield* Fiber.interrupt(fiber)
      const again = yield* Effect.forkChild(session.close, { startImmediately: true })
      yield* closing.release
      yield* Fiber.join(again)
      assert.deepStrictEqual(yield* requests, ["POST /sessions", "DELETE /sessions/s-1"])
    }).pipe(Effect.scoped, Effect.provide(layer(server({ "DELETE /sessions/s-1": closing.promise }))))
  })
})

describe("an interrupted Forge.session leaks nothing", () => {
  it.effect(
    "it returns at once while the server is silent, and the session is closed once the server has made it",
    () => {
      const creating = held({ json: created(1) })
      return Effect.gen(function* () {
        const fiber = yield* Effect.forkChild(Effect.scoped(opened))
        yield* arrival(1)
        yield* Fiber.interrupt(fiber)
        assert.deepStrictEqual(yield* requests, ["POST /sessions"])
        yield* creating.release
        assert.deepInclude(yield* arrival(2), { method: "DELETE", path: "/sessions/s-1" })
      }).pipe(Effect.provide(MemoryServer.layer(server({ "POST /sessions": creating.promise }))))
    }
  )

  it.live("the client's layer waits for that close when it shuts down", () =>
    Effect.gen(function* () {
      const usual = server({})
      const seen: Array<string> = []
      const script: Script = (request, nth) => {
        seen.push(request.method)
        return usual(request, nth)
      }
      yield* Effect.gen(function* () {
        const fiber = yield* Effect.forkChild(Effect.scoped(opened))
        yield* arrival(1)
        yield* Fiber.interrupt(fiber)
      }).pipe(Effect.provide(layer(script)))
      assert.deepStrictEqual(seen, ["POST", "DELETE"])
    })
  )
})
