import { assert, describe, it } from "@effect/vitest"
import { Effect, Stream } from "effect"
import { ApiError, Forge } from "../../src/index.ts"
import { conversation } from "../support/Conversation.ts"
import { layer } from "../support/MemoryServer.ts"
import { created, type Script } from "../support/ScriptedServer.ts"

const row = (nth: number) => ({
  ...created(nth),
  last_turn_at: null,
  turn_count: 0,
  closed_at: null,
  meta: { nth: String(nth % 2) }
})

/** A server with so many sessions, whose cursors are the ids of sessions. */
const paging =
  (count: number): Script =>
  ({ path }) => {
    const query = new URL(path, "http://forge.test").searchParams
    const first = Number(query.get("cursor") ?? count)
    const size = Math.min(Number(query.get("limit")), first)
    const sessions = Array.from({ length: size }, (_, index) => row(first - index))
    const next = first - size
    return { json: { ok: true, sessions, count: size, next_cursor: next === 0 ? null : String(next) } }
  }

/** A server without pages. */
const whole =
  (count: number): Script =>
  () => ({ json: { ok: true, count, sessions: Array.from({ length: count }, (_, index) => row(count - index)) } })

const idsOf = Effect.map((sessions: ReadonlyArray<{ readonly id: string }>) => sessions.map(({ id }) => id))

const ids = (from: number, count: number) => Array.from({ length: count }, (_, index) => `s-${from - index}`)

describe("the sessions of an app", () => {
  it.effect("are listed up to a number, 1,000 by default, in as few pages as that takes", () =>
    Effect.gen(function* () {
      assert.deepStrictEqual(yield* idsOf(Forge.sessions()), ids(2_500, 1_000))
      assert.deepStrictEqual(yield* idsOf(Forge.sessions({ limit: 3, includeClosed: false })), ids(2_500, 3))
      assert.lengthOf(yield* Forge.sessions({ limit: 2_200 }), 2_200)
      assert.deepStrictEqual(yield* conversation, [
        "GET /sessions?include_closed=true&limit=1000",
        "GET /sessions?include_closed=false&limit=3",
        "GET /sessions?include_closed=true&limit=1000",
        "GET /sessions?include_closed=true&limit=1000&cursor=1500",
        "GET /sessions?include_closed=true&limit=1000&cursor=500"
      ])
    }).pipe(Effect.provide(layer(paging(2_500))))
  )

  it.effect("are streamed to the last one, each page when it is needed", () =>
    Effect.gen(function* () {
      const all = yield* Stream.runCollect(Forge.sessionsStream({ meta: { "a b": "c&d" } }))
      assert.deepStrictEqual(all, [])
      assert.deepStrictEqual(yield* idsOf(Stream.runCollect(Forge.sessionsStream())), ids(205, 205))
      const before = (yield* conversation).length
      assert.deepStrictEqual(yield* idsOf(Stream.runCollect(Stream.take(Forge.sessionsStream(), 100))), ids(205, 100))
      assert.deepStrictEqual((yield* conversation).slice(before), ["GET /sessions?include_closed=true&limit=100"])
      assert.strictEqual((yield* conversation)[0], "GET /sessions?include_closed=true&limit=100&meta.a%20b=c%26d")
    }).pipe(Effect.provide(layer(paging(205))))
  )

  it.effect("of a server without pages are as many as asked for, with the given meta", () =>
    Effect.gen(function* () {
      assert.deepStrictEqual(yield* idsOf(Forge.sessions({ limit: 2 })), ids(7, 2))
      assert.deepStrictEqual(yield* idsOf(Forge.sessions({ meta: { nth: "0" } })), ["s-6", "s-4", "s-2"])
      assert.deepStrictEqual(yield* idsOf(Stream.runCollect(Forge.sessionsStream())), ids(7, 7))
      assert.lengthOf(yield* conversation, 3)
    }).pipe(Effect.provide(layer(whole(7))))
  )

  it.effect("of a server whose pages do not end fail as malformed", () =>
    Effect.gen(function* () {
      const failure = yield* Effect.flip(Stream.runDrain(Forge.sessionsStream()))
      assert.strictEqual(failure._tag, "TransportError")
      assert.include(failure.message, "the next page is this one again")
      assert.lengthOf(yield* conversation, 2)
    }).pipe(Effect.provide(layer(() => ({ json: { ok: true, sessions: [row(1)], count: 1, next_cursor: "same" } }))))
  )

  it.effect("are not asked for with a limit that is no number of sessions", () =>
    Effect.gen(function* () {
      for (const limit of [0, -1, 1.5, Number.NaN, Infinity]) {
        const failure = yield* Effect.flip(Forge.sessions({ limit }))
        assert.isTrue(ApiError.is(422)(failure))
        assert.deepInclude(failure, { outcome: "not-sent" })
      }
      assert.lengthOf(yield* conversation, 0)
    }).pipe(Effect.provide(layer(paging(1))))
  )
})
