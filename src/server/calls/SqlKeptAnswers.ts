/**
 * The record of keyed calls in an SQL database.
 */
import { Clock, DateTime, Effect, Layer, Option } from "effect"
import { SqlClient } from "effect/sql"
import { Owner } from "../storage/Owner.ts"
import { orUnavailable } from "../storage/StorageFailure.ts"
import {
  atAnotherServer,
  type CallId,
  cutShort,
  type Ended,
  failed,
  type KeptCall,
  KeptAnswers
} from "./KeptAnswers.ts"
import type { Piece } from "./KeptFrames.ts"

interface Row {
  readonly owner: string | null
  readonly request_sha256: string
  readonly status: number | null
  readonly body: string | null
  readonly frames: number | null
}

export const make = Effect.gen(function* () {
  const sql = yield* SqlClient.SqlClient
  const { id: owner } = yield* Owner
  const at = ({ appId, key, path }: CallId) => sql`app_id = ${appId} AND path = ${path} AND key = ${key}`

  const find = Effect.fnUntraced(function* (id: CallId) {
    const rows = yield* orUnavailable(
      sql<Row>`SELECT owner, request_sha256, status, body, frames FROM kept_answers WHERE ${at(id)}`
    )
    return Option.map(Option.fromNullishOr(rows[0]), (row): KeptCall => {
      const { body, frames, request_sha256: requestHash, status } = row
      if (status !== null && body !== null) return { requestHash, answer: { status, body }, frames }
      if (row.owner === null || row.owner === owner) return { requestHash, answer: failed, frames }
      return { requestHash, answer: atAnotherServer, frames: 0 }
    })
  })

  const now = Clock.currentTimeMillis
  /** The newest piece is in the row of the call: for most calls it is the only one, and is written with the answer at once. */
  const end = Effect.fnUntraced(function* ({ answer, frames, ...id }: Ended) {
    const newest = frames.pieces.at(-1)
    yield* sql`UPDATE kept_answers SET status = ${answer.status}, body = ${answer.body}, at = ${yield* now},
      frames = ${frames.count}, newest_first = ${newest?.first ?? null}, newest_text = ${newest?.text ?? null},
      session_id = COALESCE(session_id, ${answer.sessionId ?? null}) WHERE ${at(id)}`
    for (const { first, last, text } of frames.pieces.slice(0, -1)) {
      yield* sql`INSERT INTO kept_frames (app_id, path, key, first_frame, last_frame, text)
        VALUES (${id.appId}, ${id.path}, ${id.key}, ${first}, ${last}, ${text})`
    }
  })

  const pieceAfter = Effect.fnUntraced(function* (id: CallId, after: number) {
    const older = yield* sql<Piece>`SELECT first_frame AS first, last_frame AS last, text FROM kept_frames
      WHERE ${at(id)} AND last_frame > ${after} ORDER BY last_frame LIMIT 1`
    if (older[0] !== undefined) return Option.some(older[0])
    const newest = yield* sql<Piece>`SELECT newest_first AS first, frames AS last, newest_text AS text FROM kept_answers
      WHERE ${at(id)} AND newest_text IS NOT NULL AND frames > ${after}`
    return Option.fromNullishOr(newest[0])
  })

  const { body, status } = cutShort
  yield* sql`UPDATE kept_answers SET status = ${status}, body = ${body}, at = ${yield* now}
    WHERE status IS NULL AND (owner = ${owner} OR owner IS NULL)`.pipe(orUnavailable)

  return KeptAnswers.of({
    find,
    begin: Effect.fnUntraced(function* (call) {
      const { appId, key, path, requestHash, sessionId = null } = call
      const added = yield* sql`INSERT INTO kept_answers (app_id, path, key, request_sha256, session_id, at, owner)
        VALUES (${appId}, ${path}, ${key}, ${requestHash}, ${sessionId}, ${yield* now}, ${owner})
        ON CONFLICT (app_id, path, key) DO NOTHING RETURNING app_id`.pipe(orUnavailable)
      return added.length > 0 ? Option.none() : yield* find(call)
    }),
    end: (ended) => orUnavailable(ended.frames.pieces.length > 1 ? sql.withTransaction(end(ended)) : end(ended)),
    framesAfter: (id, after) => orUnavailable(pieceAfter(id, after)),
    forget: Effect.fnUntraced(function* (id) {
      yield* sql`DELETE FROM kept_answers WHERE ${at(id)}`
    }, orUnavailable),
    removeOfSession: Effect.fnUntraced(function* (sessionId) {
      yield* sql`DELETE FROM kept_answers WHERE session_id = ${sessionId}`
    }, orUnavailable),
    removeOfApp: Effect.fnUntraced(function* (appId) {
      yield* sql`DELETE FROM kept_answers WHERE app_id = ${appId}`
    }, orUnavailable),
    removeBefore: Effect.fnUntraced(function* (time) {
      yield* sql`DELETE FROM kept_answers WHERE at <= ${DateTime.toEpochMillis(time)} AND status IS NOT NULL`
    }, orUnavailable)
  })
})

export const layer = Layer.effect(KeptAnswers, make)
