import { assert, describe, it } from "@effect/vitest"
import { DateTime, Effect, Option } from "effect"
import { SqlClient } from "effect/sql"
import { TestClock } from "effect/testing"
import * as KeptAnswers from "../../../src/server/calls/KeptAnswers.ts"
import * as SqlKeptAnswers from "../../../src/server/calls/SqlKeptAnswers.ts"
import { Owner } from "../../../src/server/storage/Owner.ts"
import { database } from "../storage/Support.ts"

const withStorage = Effect.provide(database)

const id = { appId: 1, path: "/p", key: "k" }
const answer = { status: 200, body: '"first"' }
const frames = { count: 0, pieces: [] }

describe("KeptAnswers", () => {
  it.effect("a call begins once, and a repeat gets its record", () =>
    Effect.gen(function* () {
      const kept = yield* SqlKeptAnswers.make
      assert.isTrue(Option.isNone(yield* kept.begin({ ...id, requestHash: "h" })))
      const running = Option.getOrThrow(yield* kept.begin({ ...id, requestHash: "other" }))
      assert.deepStrictEqual(running, { requestHash: "h", answer: KeptAnswers.failed, frames: null })
      yield* kept.end({ ...id, answer, frames })
      const over = Option.getOrThrow(yield* kept.begin({ ...id, requestHash: "other" }))
      assert.deepStrictEqual(over, { requestHash: "h", answer, frames: 0 })
    }).pipe(withStorage)
  )

  it.effect("a call of another app, path or key is another call", () =>
    Effect.gen(function* () {
      const kept = yield* SqlKeptAnswers.make
      const others = [
        { ...id, appId: 2 },
        { ...id, path: "/q" },
        { ...id, key: "l" }
      ]
      for (const call of [...others, id]) {
        assert.isTrue(Option.isNone(yield* kept.begin({ ...call, requestHash: "h" })))
        yield* kept.end({ ...call, answer: { status: 200, body: JSON.stringify(call) }, frames })
      }
      yield* kept.forget(id)
      for (const call of others) {
        const found = Option.getOrThrow(yield* kept.find(call))
        assert.strictEqual(found.answer.body, JSON.stringify(call))
      }
    }).pipe(withStorage)
  )

  it.effect("a server that starts settles the calls that were its own, not those of another server on the ledger", () =>
    Effect.gen(function* () {
      const sql = yield* SqlClient.SqlClient
      const startAs = (id: string) => Effect.provideService(SqlKeptAnswers.make, Owner, { id })
      const mine = yield* startAs("mine")
      const theirs = yield* startAs("theirs")
      const [own, other, older] = [
        { ...id, key: "own" },
        { ...id, key: "other" },
        { ...id, key: "older" }
      ]
      for (const call of [own, older]) yield* mine.begin({ ...call, requestHash: "h" })
      yield* theirs.begin({ ...other, requestHash: "h" })
      yield* sql`UPDATE kept_answers SET owner = NULL WHERE key = 'older'`
      yield* startAs("mine")
      const settled = yield* sql<{ readonly key: string }>`
        SELECT key FROM kept_answers WHERE status IS NOT NULL ORDER BY key`
      assert.deepStrictEqual(
        settled.map(({ key }) => key),
        ["older", "own"]
      )
      yield* theirs.end({ ...other, answer, frames })
      assert.deepStrictEqual(Option.getOrThrow(yield* mine.find(other)).answer, answer)
    }).pipe(withStorage)
  )

  it.effect("an answer is as old as its record, also when a restart cut its call short", () =>
    Effect.gen(function* () {
      const kept = yield* SqlKeptAnswers.make
      const cut = { ...id, key: "cut" }
      yield* kept.begin({ ...id, requestHash: "h" })
      yield* kept.begin({ ...cut, requestHash: "h" })
      yield* TestClock.adjust("1 hour")
      yield* kept.end({ ...id, answer, frames })
      const next = yield* SqlKeptAnswers.make
      yield* next.removeBefore(DateTime.makeUnsafe(3_599_999))
      const answers = yield* Effect.forEach([id, cut], (call) => Effect.map(next.find(call), Option.getOrThrow))
      assert.deepStrictEqual(
        answers.map((found) => found.answer.body),
        [answer.body, KeptAnswers.cutShort.body]
      )
      yield* next.removeBefore(DateTime.makeUnsafe(3_600_000))
      assert.isTrue(Option.isNone(yield* next.find(id)))
      assert.isTrue(Option.isNone(yield* next.find(cut)))
    }).pipe(withStorage)
  )
})
