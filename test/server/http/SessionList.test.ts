import { assert, describe, it } from "@effect/vitest"
import { DateTime, Effect, Exit, Fiber, Layer, Logger, Scope, Stream } from "effect"
import { HttpServerRequest, HttpServerResponse } from "effect/http"
import { TestClock } from "effect/testing"
import { StorageUnavailable } from "../../../src/api/Errors.ts"
import { CurrentApp } from "../../../src/api/Middlewares.ts"
import * as SessionList from "../../../src/server/http/SessionList.ts"
import { Ledger, type Session } from "../../../src/server/storage/Ledger.ts"
import type { Request as PageRequest } from "../../../src/server/storage/SessionPages.ts"
import { SessionId } from "../../../src/wire/Ids.ts"

const session = (seq: number): Session => ({
  sessionId: SessionId.make(`s${seq}`),
  appId: 1,
  appName: "app",
  agent: "demo",
  agentSessionId: "a",
  model: null,
  effort: null,
  system: null,
  meta: null,
  cwd: "/",
  createdAt: DateTime.makeUnsafe(1_000),
  lastTurnAt: null,
  turnCount: 0,
  closedAt: null,
  usage: null,
  workspace: null,
  mcpServers: null
})

/** Lists of a ledger with so many sessions, the newest of which has their number, and the pages that were read of it. */
const make = Effect.fnUntraced(function* (count: number, isBroken: () => boolean = () => false) {
  const pages: Array<number> = []
  const ledger = Layer.mock(Ledger)({
    listSessions: ({ before = count + 1, limit }: PageRequest) =>
      Effect.suspend(() => {
        if (isBroken()) return Effect.fail(StorageUnavailable.from("it is locked"))
        pages.push(before)
        const size = Math.min(limit, before - 1)
        const sessions = Array.from({ length: size }, (_, index) => session(before - 1 - index))
        const next = before - size
        return Effect.succeed({ sessions, next: next === 1 ? undefined : next })
      })
  })
  const list = yield* Effect.provide(SessionList.make, ledger)
  /** Lists all, for as long as a scope is open. */
  const all = Effect.fnUntraced(function* (appId = 1) {
    const scope = yield* Scope.fork(yield* Effect.scope)
    const request = HttpServerRequest.fromWeb(new Request("http://forge.test/sessions"))
    const response = yield* list({ query: { include_closed: true }, request }).pipe(
      Effect.provideService(CurrentApp, { id: appId, name: "app" }),
      Scope.provide(scope)
    )
    return { response, end: Scope.close(scope, Exit.void) }
  })
  return { all, pages }
})

const chunksOf = (response: unknown) => {
  assert.isTrue(HttpServerResponse.isHttpServerResponse(response))
  if (!HttpServerResponse.isHttpServerResponse(response) || response.body._tag !== "Stream") return Stream.empty
  return Stream.decodeText(Stream.orDie(response.body.stream))
}

describe("a list of all sessions", () => {
  it.effect("is written page by page, as it is read", () =>
    Effect.gen(function* () {
      const { all, pages } = yield* make(450)
      const { response } = yield* all()
      assert.deepStrictEqual(pages, [451])
      yield* Stream.runDrain(Stream.take(chunksOf(response), 2))
      assert.deepStrictEqual(pages, [451])
    }).pipe(Effect.scoped)
  )

  it.effect("has all of them, newest first, and their number", () =>
    Effect.gen(function* () {
      const { all, pages } = yield* make(450)
      const { response } = yield* all()
      const { count, ok, sessions } = JSON.parse((yield* Stream.runCollect(chunksOf(response))).join(""))
      assert.deepStrictEqual([ok, count, sessions.length], [true, 450, 450])
      assert.deepStrictEqual([sessions[0].session_id, sessions[449].session_id], ["s450", "s1"])
      assert.deepStrictEqual(pages, [451, 251, 51])
    }).pipe(Effect.scoped)
  )

  it.effect("is the only one of its app: another one waits, and is refused after thirty seconds", () =>
    Effect.gen(function* () {
      const { all } = yield* make(450)
      const first = yield* all()
      yield* all(2)
      const second = yield* Effect.forkChild(all(), { startImmediately: true })
      const third = yield* Effect.forkChild(Effect.flip(all()), { startImmediately: true })
      yield* TestClock.adjust("29 seconds")
      assert.isUndefined(second.pollUnsafe())
      yield* first.end
      yield* Fiber.join(second)
      assert.isUndefined(third.pollUnsafe())
      yield* TestClock.adjust("1 second")
      assert.strictEqual((yield* Fiber.join(third))._tag, "TooMany")
    }).pipe(Effect.scoped)
  )

  it.effect("that fits one page is answered as such, and waits for no other", () =>
    Effect.gen(function* () {
      const { all } = yield* make(200)
      for (const { response } of [yield* all(), yield* all()]) {
        assert.isFalse(HttpServerResponse.isHttpServerResponse(response))
      }
    }).pipe(Effect.scoped)
  )

  it.effect("whose ledger fails is refused before its first byte, and cut afterwards", () =>
    Effect.gen(function* () {
      let isBroken = false
      const { all } = yield* make(450, () => isBroken)
      const { end, response } = yield* all()
      isBroken = true
      assert.isTrue(Exit.hasDies(yield* Effect.exit(Stream.runDrain(chunksOf(response)))))
      yield* end
      assert.strictEqual((yield* Effect.flip(all()))._tag, "StorageUnavailable")
    }).pipe(Effect.scoped, Effect.provide(Logger.layer([])))
  )
})
