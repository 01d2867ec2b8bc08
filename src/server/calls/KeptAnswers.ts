/**
 * The record of keyed calls and their answers, so that a repeat gets the same answer, also after a restart.
 *
 * A call is recorded before its agent can act. Of the request only a hash is kept; the answer is kept whole, text included,
 * until the hard time to live is over or its session is deleted. The frames of the call's events are kept with it, and
 * deleted with it.
 */
import { Clock, Context, DateTime, Effect, Layer, Option } from "effect"
import { SqlClient } from "effect/sql"
import type { StorageUnavailable } from "../../api/Errors.ts"
import { sentences } from "../../wire/Failures.ts"
import type { SessionId } from "../../wire/Ids.ts"
import { Owner } from "../storage/Owner.ts"
import { orUnavailable } from "../storage/StorageFailure.ts"
import * as CallAnswer from "./CallAnswer.ts"
import type { Piece, ToKeep } from "./KeptFrames.ts"

/** The identity of a keyed call. The method is always POST. */
export interface CallId {
  readonly appId: number
  readonly path: string
  readonly key: string
}

/** A recorded call, and its answer or why there will be none. */
export interface KeptCall {
  readonly requestHash: string
  readonly answer: CallAnswer.CallAnswer
  /** How many frames it had; null where that is unknown. */
  readonly frames: number | null
}

/** How a call ended. */
export interface Ended extends CallId {
  readonly answer: CallAnswer.CallAnswer
  readonly frames: ToKeep
}

export class KeptAnswers extends Context.Service<
  KeptAnswers,
  {
    readonly find: (id: CallId) => Effect.Effect<Option.Option<KeptCall>, StorageUnavailable>
    /** Records the start of a call, unless it was recorded before: then returns that record. */
    readonly begin: (
      id: CallId & { readonly requestHash: string; readonly sessionId?: SessionId | undefined }
    ) => Effect.Effect<Option.Option<KeptCall>, StorageUnavailable>
    /** Records the answer to a call, and its frames. */
    readonly end: (call: Ended) => Effect.Effect<void, StorageUnavailable>
    /** The first piece of the frames of a call that has one after this number. */
    readonly framesAfter: (id: CallId, after: number) => Effect.Effect<Option.Option<Piece>, StorageUnavailable>
    /** Deletes the record of a call that did nothing. */
    readonly forget: (id: CallId) => Effect.Effect<void, StorageUnavailable>
    /** Deletes the records of a session. */
    readonly removeOfSession: (sessionId: SessionId) => Effect.Effect<void, StorageUnavailable>
    readonly removeOfApp: (appId: number) => Effect.Effect<void, StorageUnavailable>
    /** Deletes the answers that were recorded up to a time. */
    readonly removeBefore: (time: DateTime.Utc) => Effect.Effect<void, StorageUnavailable>
  }
>()("effect-clawdforge/server/calls/KeptAnswers") {}

interface Row {
  readonly owner: string | null
  readonly request_sha256: string
  readonly status: number | null
  readonly body: string | null
  readonly frames: number | null
}

/** The answer to a call that a restart of the server cut short. */
export const cutShort = CallAnswer.failed(sentences.cutByRestart, "error")

/** The answer to a call that failed with a defect, or whose answer could not be recorded. */
export const failed = CallAnswer.failed(sentences.cutByFailure, "error")

/** For now: the other server records the answer, so nothing is kept of this one, and a later repeat gets that. */
const atAnotherServer: CallAnswer.CallAnswer = {
  status: 503,
  body: JSON.stringify({ detail: sentences.callElsewhere })
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
