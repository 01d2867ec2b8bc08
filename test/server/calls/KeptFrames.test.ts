import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { SqlClient } from "effect/sql"
import type { FrameReader } from "../../../src/server/calls/CallFeed.ts"
import * as EventFrames from "../../../src/server/calls/EventFrames.ts"
import * as KeptAnswers from "../../../src/server/calls/KeptAnswers.ts"
import * as SqlKeptAnswers from "../../../src/server/calls/SqlKeptAnswers.ts"
import * as KeptFrames from "../../../src/server/calls/KeptFrames.ts"
import { database } from "../storage/Support.ts"

const id = { appId: 1, path: "/p", key: "k" }
const answer = { status: 200, body: '{"ok":true}' }

/** Some frames, from a number on, each with a text of its own length. */
const framesOf = (count: number, { first = 1, length = 10 } = {}) =>
  Effect.map(
    Effect.forEach(Array.from({ length: count }), (_, at) =>
      EventFrames.fromEvent(first + at, { _tag: "Text", content: `é\n\n${"x".repeat(length)}` })
    ),
    (texts) => ({ first, texts })
  )

const readerOf = (
  kept: KeptAnswers.KeptAnswers["Service"],
  call: { readonly id: KeptAnswers.CallId; readonly count: number | null },
  after: number
) => KeptFrames.reader({ count: call.count, pieceAfter: (position) => kept.framesAfter(call.id, position) }, after)

/** All that a reader gets, and the most frames that it got at once. */
const drain = Effect.fnUntraced(function* (reader: FrameReader) {
  const all: Array<string> = []
  let most = 0
  while (true) {
    yield* reader.ready
    const taken = yield* reader.take
    if (taken.length === 0) return { all, most }
    most = Math.max(most, taken.length)
    all.push(...taken)
  }
})

const bytes = (texts: ReadonlyArray<string>) => Buffer.byteLength(texts.join(""))

/** The frames of a call that has ended, kept up to so many bytes, as readers get them. */
const keep = Effect.fnUntraced(function* (frames: { first: number; texts: ReadonlyArray<string> }, maxBytes: number) {
  const kept = yield* SqlKeptAnswers.make
  yield* kept.begin({ ...id, requestHash: "h" })
  const count = frames.first + frames.texts.length - 1
  yield* kept.end({ ...id, answer, frames: { count, pieces: KeptFrames.piecesOf(frames, maxBytes) } })
  const read = (after: number, call: { id: KeptAnswers.CallId; count: number | null } = { id, count }) =>
    drain(readerOf(kept, call, after))
  return { kept, read, sql: yield* SqlClient.SqlClient }
})

const gap = (after: number, next: number | null) => `event: gap\ndata: ${JSON.stringify({ after, next })}\n\n`

const withStorage = Effect.provide(database)

describe("KeptFrames", () => {
  it.effect("a reader gets the frames after any one of them, a piece at a time", () =>
    Effect.gen(function* () {
      const frames = yield* framesOf(1_000, { length: 2_000 })
      const { read } = yield* keep(frames, 4 * 1024 * 1024)
      for (const after of [0, 1, 130, 131, 500, 999]) {
        const { all, most } = yield* read(after)
        assert.deepStrictEqual(all, frames.texts.slice(after))
        assert.isAtMost(most, 131)
      }
      for (const after of [1_000, 1_001, Number.MAX_SAFE_INTEGER]) assert.deepStrictEqual((yield* read(after)).all, [])
    }).pipe(withStorage)
  )

  it.effect("the newest frames are kept within the bound, and the others are a gap that says what follows", () =>
    Effect.gen(function* () {
      const frames = yield* framesOf(10)
      const { read } = yield* keep(frames, bytes(frames.texts.slice(-4)) + 1)
      assert.deepStrictEqual((yield* read(0)).all, [gap(0, 7), ...frames.texts.slice(-4)])
      assert.deepStrictEqual((yield* read(5)).all, [gap(5, 7), ...frames.texts.slice(-4)])
      assert.deepStrictEqual((yield* read(6)).all, frames.texts.slice(-4))
      assert.deepStrictEqual((yield* read(8)).all, frames.texts.slice(-2))
      assert.deepStrictEqual((yield* read(10)).all, [])
    }).pipe(withStorage)
  )

  it.effect("frames that were dropped while the call ran are a gap, too", () =>
    Effect.gen(function* () {
      const frames = yield* framesOf(3, { first: 8 })
      const { read } = yield* keep(frames, 1_000)
      assert.deepStrictEqual((yield* read(2)).all, [gap(2, 8), ...frames.texts])
      assert.deepStrictEqual((yield* read(7)).all, frames.texts)
    }).pipe(withStorage)
  )

  it.effect("a gap that nothing follows says so: no frame fits, or they are deleted meanwhile, or unknown", () =>
    Effect.gen(function* () {
      const frames = yield* framesOf(10)
      const { kept, read, sql } = yield* keep(frames, 10)
      assert.deepStrictEqual((yield* read(3)).all, [gap(3, null)])
      assert.deepStrictEqual((yield* read(10)).all, [])
      assert.deepStrictEqual((yield* read(12, { id: { ...id, key: "cut" }, count: null })).all, [gap(12, null)])

      const long = yield* framesOf(400, { length: 1_000 })
      yield* kept.end({
        ...id,
        answer,
        frames: { count: 400, pieces: KeptFrames.piecesOf(long, 1_000_000) }
      })
      const reader = readerOf(kept, { id, count: 400 }, 0)
      const first = yield* reader.take
      yield* kept.forget(id)
      assert.deepStrictEqual((yield* drain(reader)).all, [gap(first.length, null)])
      assert.deepStrictEqual(yield* sql`SELECT * FROM kept_frames`, [])
    }).pipe(withStorage)
  )

  it.effect("the frames and the answer are recorded together, or neither is", () =>
    Effect.gen(function* () {
      const kept = yield* SqlKeptAnswers.make
      const sql = yield* SqlClient.SqlClient
      yield* kept.begin({ ...id, requestHash: "h" })
      const { first, texts } = yield* framesOf(2)
      const [piece] = KeptFrames.piecesOf({ first, texts }, 1_000)
      assert(piece !== undefined)
      const failed = yield* Effect.flip(
        kept.end({ ...id, answer, frames: { count: 2, pieces: [piece, piece, piece] } })
      )
      assert.strictEqual(failed._tag, "StorageUnavailable")
      const rows =
        yield* sql`SELECT status, frames, newest_text, (SELECT COUNT(*) FROM kept_frames) AS pieces FROM kept_answers`
      assert.deepStrictEqual(rows, [{ status: null, frames: null, newest_text: null, pieces: 0 }])
    }).pipe(withStorage)
  )
})
