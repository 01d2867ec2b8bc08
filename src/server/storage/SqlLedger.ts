/**
 * The ledger in an SQL database.
 */
import { Clock, DateTime, Effect, Layer, Schema } from "effect"
import { SqlClient, SqlSchema, type Statement } from "effect/sql"
import { SessionId } from "../../wire/Ids.ts"
import * as Usage from "../../wire/Usage.ts"
import {
  Detail,
  expiredBatch,
  Ledger,
  type RunRecord,
  Session,
  SessionEvent,
  StoredUsage,
  type TurnOutcome
} from "./Ledger.ts"
import { Owner } from "./Owner.ts"
import * as SessionPages from "./SessionPages.ts"
import { orUnavailable } from "./StorageFailure.ts"

const millis = Schema.DateTimeUtcFromMillis
const SessionKey = Schema.Struct({ session_id: SessionId })
const idsOf = (rows: ReadonlyArray<typeof SessionKey.Type>) => rows.map(({ session_id }) => session_id)

const decodeSession = Schema.decodeUnknownEffect(Session)
const encodeUsage = Schema.encodeEffect(StoredUsage)
const encodeDetail = Schema.encodeEffect(Detail)

export const make = Effect.gen(function* () {
  const sql = yield* SqlClient.SqlClient
  const { id: owner } = yield* Owner
  const own = sql`(owner = ${owner} OR owner IS NULL)`

  const addEvent = Effect.fnUntraced(function* (event: {
    readonly sessionId: string
    readonly appId: number
    readonly at: number
    readonly kind: "create" | "turn" | "close" | "sweep_close" | "hard_delete"
    readonly turnIndex?: number | undefined
    readonly detail?: string | undefined
  }) {
    yield* sql`INSERT INTO session_events (session_id, app_id, at, kind, turn_index, detail)
      VALUES (${event.sessionId}, ${event.appId}, ${event.at}, ${event.kind}, ${event.turnIndex ?? null}, ${event.detail ?? null})`
  })

  const insertSession = SqlSchema.void({
    Request: Session,
    execute: (row) => sql`INSERT INTO sessions ${sql.insert({ ...row, owner })}`
  })

  const addSession = Effect.fnUntraced(
    function* (session: Session) {
      const at = yield* Clock.currentTimeMillis
      yield* insertSession(session)
      yield* addEvent({ ...session, at, kind: "create" })
    },
    sql.withTransaction,
    orUnavailable
  )

  const findSession = SqlSchema.findOneOption({
    Request: Schema.Struct({ sessionId: Schema.String, appId: Schema.Int }),
    Result: Session,
    execute: (of) => sql`SELECT * FROM sessions WHERE session_id = ${of.sessionId} AND app_id = ${of.appId}`
  })

  const readPage = SessionPages.make(sql, decodeSession)

  const revokedApps = Effect.gen(function* () {
    const rows = yield* sql<{ readonly app_id: number }>`
      SELECT app_id FROM (SELECT app_id FROM sessions WHERE closed_at IS NULL
        UNION SELECT app_id FROM uploads UNION SELECT app_id FROM kept_answers) AS apps
      WHERE app_id NOT IN (SELECT app_id FROM tokens)`
    return rows.map(({ app_id }) => app_id)
  }).pipe(orUnavailable)

  const openSessionsOf = SqlSchema.findAll({
    Request: Schema.Int,
    Result: SessionKey,
    execute: (appId) => sql`SELECT session_id FROM sessions WHERE app_id = ${appId} AND closed_at IS NULL`
  })

  const openSessions = SqlSchema.findAll({
    Request: Schema.Void,
    Result: Session,
    execute: () => sql`SELECT * FROM sessions WHERE closed_at IS NULL AND ${own} ORDER BY seq`
  })

  const isOpenElsewhere = Effect.fnUntraced(function* (sessionId: SessionId) {
    const rows = yield* sql`SELECT session_id FROM sessions
      WHERE session_id = ${sessionId} AND closed_at IS NULL AND NOT ${own}`
    return rows.length > 0
  }, orUnavailable)

  const openSessionIds = SqlSchema.findAll({
    Request: Schema.Void,
    Result: SessionKey,
    execute: () => sql`SELECT session_id FROM sessions WHERE closed_at IS NULL`
  })

  const moveSession = Effect.fnUntraced(function* (sessionId: SessionId, cwd: string) {
    yield* sql`UPDATE sessions SET cwd = ${cwd} WHERE session_id = ${sessionId}`
  }, orUnavailable)

  const countTurn = SqlSchema.findOne({
    Request: Schema.String,
    Result: Schema.Struct({ turn_count: Schema.Int }),
    execute: (sessionId) =>
      sql`UPDATE sessions SET turn_count = turn_count + 1, in_turn = 1 WHERE session_id = ${sessionId}
        RETURNING turn_count`
  })

  const findUsage = SqlSchema.findOne({
    Request: Schema.String,
    Result: Schema.Struct({ usage: StoredUsage }),
    execute: (sessionId) => sql`SELECT usage FROM sessions WHERE session_id = ${sessionId}`
  })

  const addUsage = Effect.fnUntraced(function* (sessionId: SessionId, more: Usage.Usage) {
    const { usage } = yield* findUsage(sessionId)
    const total = yield* encodeUsage(usage === null ? more : Usage.add(usage, more))
    yield* sql`UPDATE sessions SET usage = ${total} WHERE session_id = ${sessionId}`
  })

  const endTurn = Effect.fnUntraced(
    function* (outcome: TurnOutcome) {
      const at = yield* Clock.currentTimeMillis
      const detail = yield* encodeDetail({ stop_reason: outcome.stopReason, duration_ms: outcome.durationMillis })
      yield* sql`UPDATE sessions SET last_turn_at = ${at}, in_turn = 0 WHERE session_id = ${outcome.sessionId}`
      if (outcome.usage !== undefined) yield* addUsage(outcome.sessionId, outcome.usage)
      yield* addEvent({ ...outcome, at, kind: "turn", detail })
    },
    sql.withTransaction,
    orUnavailable
  )

  /** Records an end of the turns of these sessions that have none. */
  const endCut = Effect.fnUntraced(function* (sessions: Statement.Fragment) {
    const at = yield* Clock.currentTimeMillis
    const cut = yield* sql<{ readonly session_id: string; readonly app_id: number; readonly turn_count: number }>`
      UPDATE sessions SET last_turn_at = ${at}, in_turn = 0 WHERE in_turn = 1 AND ${sessions}
      RETURNING session_id, app_id, turn_count`
    const detail = yield* encodeDetail({ stop_reason: "unknown" })
    for (const { app_id: appId, session_id: sessionId, turn_count: turnIndex } of cut) {
      yield* addEvent({ sessionId, appId, turnIndex, at, kind: "turn", detail })
    }
  })

  const endCutTurns = endCut(own).pipe(sql.withTransaction, orUnavailable)

  const beginTurn = Effect.fnUntraced(
    function* (sessionId: SessionId) {
      // The disk may have been full when the turn before it ended.
      yield* endCut(sql`session_id = ${sessionId}`)
      return (yield* countTurn(sessionId)).turn_count
    },
    sql.withTransaction,
    orUnavailable
  )

  const closeSession = Effect.fnUntraced(
    function* (sessionId: SessionId, kind: "close" | "sweep_close" = "close") {
      const at = yield* Clock.currentTimeMillis
      const closed = yield* sql<{ readonly app_id: number }>`
        UPDATE sessions SET closed_at = ${at}, mcp_servers = NULL WHERE session_id = ${sessionId} AND closed_at IS NULL RETURNING app_id`
      for (const row of closed) yield* addEvent({ sessionId, appId: row.app_id, at, kind })
      return closed.length > 0
    },
    sql.withTransaction,
    orUnavailable
  )

  const idleSessions = SqlSchema.findAll({
    Request: millis,
    Result: SessionKey,
    execute: (since) =>
      sql`SELECT session_id FROM sessions
        WHERE closed_at IS NULL AND ${own} AND COALESCE(last_turn_at, created_at) <= ${since}`
  })

  const expiredSessions = SqlSchema.findAll({
    Request: millis,
    Result: SessionKey,
    execute: (closedBy) => sql`SELECT session_id FROM sessions WHERE closed_at <= ${closedBy} LIMIT ${expiredBatch}`
  })

  const deleteSession = Effect.fnUntraced(function* (sessionId: SessionId) {
    const at = yield* Clock.currentTimeMillis
    const gone = yield* sql<{ readonly app_id: number }>`
      DELETE FROM sessions WHERE session_id = ${sessionId} RETURNING app_id`
    for (const row of gone) yield* addEvent({ sessionId, appId: row.app_id, at, kind: "hard_delete" })
  }, sql.withTransaction)

  const clearDeleted = sql.onDialectOrElse({
    pg: () => Effect.void,
    orElse: () => Effect.asVoid(sql`PRAGMA wal_checkpoint(TRUNCATE)`)
  })

  const addRun = Effect.fnUntraced(function* (run: RunRecord) {
    yield* sql`INSERT INTO runs ${sql.insert({
      app_id: run.appId,
      app_name: run.appName,
      agent: run.agent,
      at: run.at,
      prompt_bytes: run.promptBytes,
      response_bytes: run.responseBytes,
      duration_ms: run.durationMillis,
      outcome: run.outcome
    })}`
  }, orUnavailable)

  const deleteAudit = Effect.fnUntraced(function* (before: DateTime.Utc) {
    yield* sql`DELETE FROM session_events WHERE at < ${DateTime.toEpochMillis(before)}`
    yield* sql`DELETE FROM runs WHERE at < ${DateTime.toEpochMillis(before)}`
  }, orUnavailable)

  const probe = Effect.fnUntraced(function* () {
    const at = yield* Clock.currentTimeMillis
    yield* sql`INSERT INTO probe (id, at) VALUES (1, ${at}) ON CONFLICT (id) DO UPDATE SET at = excluded.at`
  })

  const listEvents = SqlSchema.findAll({
    Request: Schema.String,
    Result: SessionEvent,
    execute: (sessionId) =>
      sql`SELECT seq, at, kind, turn_index, detail FROM session_events WHERE session_id = ${sessionId} ORDER BY seq`
  })

  const listEventsAfter = SqlSchema.findAll({
    Request: Schema.Struct({ sessionId: Schema.String, after: Schema.Int, limit: Schema.Int }),
    Result: SessionEvent,
    execute: ({ after, limit, sessionId }) =>
      sql`SELECT seq, at, kind, turn_index, detail FROM session_events
        WHERE session_id = ${sessionId} AND seq > ${after} ORDER BY seq LIMIT ${limit}`
  })

  return Ledger.of({
    addSession,
    findSession: (of) => orUnavailable(findSession(of)),
    listSessions: (of) => orUnavailable(readPage(of)),
    revokedApps,
    openSessionsOf: (appId) => Effect.map(orUnavailable(openSessionsOf(appId)), idsOf),
    isOpenElsewhere,
    openSessions: orUnavailable(openSessions()),
    openSessionIds: Effect.map(orUnavailable(openSessionIds()), idsOf),
    moveSession,
    beginTurn,
    endTurn,
    endCutTurns,
    listEvents: (sessionId) => orUnavailable(listEvents(sessionId)),
    listEventsAfter: (of) => orUnavailable(listEventsAfter(of)),
    closeSession,
    idleSessions: (since) => Effect.map(orUnavailable(idleSessions(since)), idsOf),
    expiredSessions: (closedBy) => Effect.map(orUnavailable(expiredSessions(closedBy)), idsOf),
    deleteSessions: (sessionIds) => orUnavailable(Effect.forEach(sessionIds, deleteSession, { discard: true })),
    addRun,
    deleteAudit,
    clearDeleted: orUnavailable(clearDeleted),
    probe: orUnavailable(probe())
  })
})

export const layer = Layer.effect(Ledger, make)
