/**
 * How a session ends, and how its handle knows: by its own close, by the end of its scope, or on the server.
 */
import { assert, describe, it } from "@effect/vitest"
import { Effect, Fiber } from "effect"
import { Forge, type Session, SessionInfo } from "../src/index.ts"
import { layer } from "./support/MemoryServer.ts"
import { patience } from "./support/Patience.ts"
import { created, type Script, ScriptedServer, wellBehaved } from "./support/ScriptedServer.ts"

const requests = (method: string, path: RegExp = /.*/) =>
  ScriptedServer.useSync(({ received }) => received.filter((one) => one.method === method && path.test(one.path)))

const deletes = Effect.map(requests("DELETE"), (all) => all.map(({ path }) => path))
const prompts = Effect.map(requests("POST", /turn$/), (all) => all.map(({ body }): string => JSON.parse(body).prompt))

/** A server that answers every turn by the script, and every other request normally. */
const turning = (answer: Script): Script => {
  const usual = wellBehaved()
  return (request, nth) => (request.path.endsWith("/turn") ? answer(request, nth) : usual(request, nth))
}

const closedOnServer = turning(() => ({ status: 410, json: { detail: "session is closed" } }))

const open = Forge.session({ agent: "demo" })

describe("the end of a session", () => {
  it.effect("a 410 closes the handle, by the server, and its scope sends nothing", () =>
    Effect.gen(function* () {
      yield* Effect.scoped(
        Effect.gen(function* () {
          const session = yield* open
          const first = yield* Effect.flip(session.turn("one"))
          const second = yield* Effect.flip(session.turn("two"))
          for (const error of [first, second]) assert.deepInclude(error, { _tag: "SessionClosed", by: "server" })
          assert.deepStrictEqual(yield* prompts, ["one"])
        })
      )
      assert.deepStrictEqual(yield* deletes, [])
    }).pipe(Effect.provide(layer(closedOnServer)))
  )

  it.effect("a 410 of a proxy leaves the session open, and its scope closes it", () => {
    const script = turning(() => ({ status: 410, text: "<h1>Gone</h1>" }))
    return Effect.gen(function* () {
      yield* Effect.scoped(
        Effect.gen(function* () {
          const session = yield* open
          for (const prompt of ["one", "two"]) {
            const error = yield* Effect.flip(session.turn(prompt))
            assert.deepInclude(error, { _tag: "ApiError", status: 410, outcome: "refused" })
            assert.deepInclude("reason" in error ? error.reason : {}, { _tag: "Unexpected", status: 410 })
          }
          assert.deepStrictEqual(yield* prompts, ["one", "two"])
        })
      )
      assert.deepStrictEqual(yield* deletes, ["/sessions/s-1"])
    }).pipe(Effect.provide(layer(script, { retry: false })))
  })

  describe("closed waits for the end, and says which side closed the session", () => {
    const closedBy = (session: Session.Session) =>
      Effect.forkChild(Effect.timeout(session.closed, patience), { startImmediately: true })

    it.effect("its own close", () =>
      Effect.gen(function* () {
        const session = yield* open
        const closed = yield* closedBy(session)
        yield* session.turn("hello")
        assert.isUndefined(closed.pollUnsafe())
        yield* session.close
        assert.strictEqual(yield* Fiber.join(closed), "client")
      }).pipe(Effect.scoped, Effect.provide(layer(wellBehaved())))
    )

    it.effect("the end of its scope, also where the server cannot be reached then", () => {
      const usual = wellBehaved()
      const script: Script = (request, nth) => (request.method === "DELETE" ? { status: 500 } : usual(request, nth))
      return Effect.gen(function* () {
        const [session, closed] = yield* Effect.scoped(
          Effect.gen(function* () {
            const session = yield* open
            const failed = yield* Effect.flip(session.close)
            assert.strictEqual(failed._tag, "ApiError")
            return [session, yield* closedBy(session)] as const
          })
        )
        assert.strictEqual(yield* Fiber.join(closed), "client")
        assert.strictEqual(yield* session.closed, "client")
        // It is not closed, so it can still be closed by hand.
        assert.deepInclude(yield* Effect.flip(session.close), { _tag: "ApiError", status: 500 })
        assert.lengthOf(yield* deletes, 3)
      }).pipe(Effect.provide(layer(script, { retry: false })))
    })

    it.effect("a turn that finds it closed on the server", () =>
      Effect.gen(function* () {
        const session = yield* open
        const closed = yield* closedBy(session)
        yield* Effect.flip(session.turn("late"))
        assert.strictEqual(yield* Fiber.join(closed), "server")
      }).pipe(Effect.scoped, Effect.provide(layer(closedOnServer)))
    )
  })

  it.effect("attached after its end says so, and sends no turn", () => {
    const script: Script = () => ({
      json: { ...created(1), turn_count: 3, last_turn_at: 2, closed_at: 2, live: false }
    })
    return Effect.gen(function* () {
      const session = yield* Forge.attach(SessionInfo.sessionId("s-1"))
      assert.include(JSON.stringify(session), '"status":"Closed"')
      assert.deepInclude(yield* Effect.flip(session.turn("late")), { _tag: "SessionClosed", by: "server" })
      assert.strictEqual(yield* session.closed, "server")
      yield* session.close
      assert.strictEqual((yield* session.state).turnCount, 3)
      assert.deepStrictEqual(
        (yield* requests("GET")).length + (yield* requests("POST")).length + (yield* requests("DELETE")).length,
        2
      )
    }).pipe(Effect.provide(layer(script)))
  })

  it.effect("a close by another handle is seen as a close by the server", () => {
    const usual = wellBehaved()
    let closed = false
    const script: Script = (request, nth) => {
      if (request.method === "DELETE") closed = true
      if (request.method === "GET") return { json: { ...created(1), turn_count: 0, live: true } }
      return closed && request.path.endsWith("/turn")
        ? { status: 410, json: { detail: "session is closed" } }
        : usual(request, nth)
    }
    return Effect.gen(function* () {
      const owner = yield* open
      const borrower = yield* Forge.attach(owner.id)
      yield* owner.close
      assert.deepInclude(yield* Effect.flip(borrower.turn("late")), { _tag: "SessionClosed", by: "server" })
      assert.deepInclude(yield* Effect.flip(owner.turn("late")), { _tag: "SessionClosed", by: "client" })
    }).pipe(Effect.scoped, Effect.provide(layer(script)))
  })
})
