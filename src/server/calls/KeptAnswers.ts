/**
 * The calls that came with a key, and what they were answered: a repeat gets the same answer, also from the next server
 * on the same data.
 *
 * A call is written down before it has an agent act. What is kept of a request is a hash; of an answer it is all of it,
 * text included, until the hard time to live is over or the session goes.
 */
import { Clock, Context, DateTime, Effect, Layer, Option } from "effect"
import { SqlClient } from "effect/sql"
import type { SessionId } from "../../wire/Ids.ts"
import * as CallAnswer from "./CallAnswer.ts"

/** What a key is unique within. Only what is posted takes a key, so the method is always the same. */
export interface CallId {
  readonly appId: number
  readonly path: string
  readonly key: string
}

/** A call whose answer is known, or will never be. */
export interface KeptCall {
  readonly requestHash: string
  readonly answer: CallAnswer.CallAnswer
}

export class KeptAnswers extends Context.Service<
  KeptAnswers,
  {
    readonly find: (id: CallId) => Effect.Effect<Option.Option<KeptCall>>
    /** Writes a call down, or gives what is known of it. */
    readonly begin: (
      id: CallId & { readonly requestHash: string; readonly sessionId?: SessionId | undefined }
    ) => Effect.Effect<Option.Option<KeptCall>>
    /** Keeps an answer. */
    readonly end: (id: CallId & { readonly answer: CallAnswer.CallAnswer }) => Effect.Effect<void>
    /** Forgets a call that did nothing. */
    readonly forget: (id: CallId) => Effect.Effect<void>
    /** Forgets all answers about a session. */
    readonly removeOfSession: (sessionId: SessionId) => Effect.Effect<void>
    readonly removeOfApp: (appId: number) => Effect.Effect<void>
    /** Forgets the answers that were given by then. */
    readonly removeBefore: (time: DateTime.Utc) => Effect.Effect<void>
  }
>()("effect-clawdforge/server/calls/KeptAnswers") {}

interface Row {
  readonly request_sha256: string
  readonly status: number | null
  readonly body: string | null
}

/** How a call ended that an earlier server left in the middle. */
export const cutShort = CallAnswer.failed("outcome unknown: the server restarted during this call", "error")

/** How a call ended in a defect, or without a way to write down how. */
export const failed = CallAnswer.failed("outcome unknown: the server failed during this call", "error")

export const make = Effect.gen(function* () {
  const sql = yield* SqlClient.SqlClient
  const at = ({ appId, key, path }: CallId) => sql`app_id = ${appId} AND path = ${path} AND key = ${key}`

  const find = Effect.fnUntraced(function* (id: CallId) {
    const rows = yield* sql<Row>`SELECT request_sha256, status, body FROM kept_answers WHERE ${at(id)}`
    return Option.map(Option.fromNullishOr(rows[0]), ({ body, request_sha256: requestHash, status }): KeptCall => ({
      requestHash,
      answer: status === null || body === null ? failed : { status, body }
    }))
  }, Effect.orDie)

  const now = Clock.currentTimeMillis
  const { body, status } = cutShort
  yield* sql`UPDATE kept_answers SET status = ${status}, body = ${body}, at = ${yield* now} WHERE status IS NULL`

  return KeptAnswers.of({
    find,
    begin: Effect.fnUntraced(function* (call) {
      const { appId, key, path, requestHash, sessionId = null } = call
      const added = yield* sql`INSERT INTO kept_answers (app_id, path, key, request_sha256, session_id, at)
        VALUES (${appId}, ${path}, ${key}, ${requestHash}, ${sessionId}, ${yield* now})
        ON CONFLICT (app_id, path, key) DO NOTHING RETURNING app_id`
      return added.length > 0 ? Option.none() : yield* find(call)
    }, Effect.orDie),
    end: Effect.fnUntraced(function* ({ answer, ...id }) {
      yield* sql`UPDATE kept_answers SET status = ${answer.status}, body = ${answer.body}, at = ${yield* now},
        session_id = COALESCE(session_id, ${answer.sessionId ?? null}) WHERE ${at(id)}`
    }, Effect.orDie),
    forget: Effect.fnUntraced(function* (id) {
      yield* sql`DELETE FROM kept_answers WHERE ${at(id)}`
    }, Effect.orDie),
    removeOfSession: Effect.fnUntraced(function* (sessionId) {
      yield* sql`DELETE FROM kept_answers WHERE session_id = ${sessionId}`
    }, Effect.orDie),
    removeOfApp: Effect.fnUntraced(function* (appId) {
      yield* sql`DELETE FROM kept_answers WHERE app_id = ${appId}`
    }, Effect.orDie),
    removeBefore: Effect.fnUntraced(function* (time) {
      yield* sql`DELETE FROM kept_answers WHERE at <= ${DateTime.toEpochMillis(time)} AND status IS NOT NULL`
    }, Effect.orDie)
  })
})

export const layer = Layer.effect(KeptAnswers, make)
