/**
 * The record of sessions, and of what happened to each.
 *
 * It is written before an answer is given, so that the answer survives a crash. It holds no text of a turn. Where the
 * database fails, every operation fails with `StorageUnavailable`.
 */
import { Clock, Context, DateTime, Effect, Layer, type Option, Schema } from "effect"
import { SqlClient, SqlSchema, type Statement } from "effect/sql"
import type { StorageUnavailable } from "../../api/Errors.ts"
import { SessionId } from "../../wire/Ids.ts"
import { Meta, type SessionState } from "../../wire/Sessions.ts"
import * as Usage from "../../wire/Usage.ts"
import { Owner } from "./Owner.ts"
import * as SessionPages from "./SessionPages.ts"
import { orUnavailable } from "./StorageFailure.ts"

const millis = Schema.DateTimeUtcFromMillis

const StoredUsage = Schema.NullOr(Schema.fromJsonString(Usage.usage))

const SystemPrompt = Schema.fromJsonString(
  Schema.Struct({ text: Schema.String, mode: Schema.Literals(["append", "replace"]) })
)

/** A session in the ledger. */
export const Session = Schema.Struct({
  sessionId: SessionId,
  appId: Schema.Int,
  appName: Schema.String,
  agent: Schema.String,
  /** The agent's own id of the session, by which another of its processes can restore it. */
  agentSessionId: Schema.String,
  model: Schema.NullOr(Schema.String),
  effort: Schema.NullOr(Schema.String),
  system: Schema.NullOr(SystemPrompt),
  meta: Schema.NullOr(Schema.fromJsonString(Meta)),
  cwd: Schema.String,
  createdAt: millis,
  lastTurnAt: Schema.NullOr(millis),
  turnCount: Schema.Int,
  closedAt: Schema.NullOr(millis),
  /** What its turns used together; null where none of them said. */
  usage: StoredUsage
}).pipe(
  Schema.encodeKeys({
    sessionId: "session_id",
    appId: "app_id",
    appName: "app_name",
    agentSessionId: "agent_session_id",
    createdAt: "created_at",
    lastTurnAt: "last_turn_at",
    turnCount: "turn_count",
    closedAt: "closed_at"
  })
)
export type Session = typeof Session.Type

/** A session as its app sees it. */
export const toState = ({ sessionId: id, usage, ...session }: Session): SessionState => ({
  id,
  ...session,
  ...(usage === null ? {} : { usage })
})

/** How a turn ended. */
export interface TurnOutcome {
  readonly sessionId: SessionId
  readonly appId: number
  readonly turnIndex: number
  readonly stopReason: string
  readonly durationMillis: number
  readonly usage?: Usage.Usage | undefined
}

/** The details in a row of `session_events`. */
const Detail = Schema.fromJsonString(
  Schema.Struct({ stop_reason: Schema.String, duration_ms: Schema.optionalKey(Schema.Finite) })
)

/** An event in the life of a session. It holds no text. */
export const SessionEvent = Schema.Struct({
  /** Later ones have higher numbers. */
  seq: Schema.Int,
  at: Schema.DateTimeUtcFromMillis,
  kind: Schema.String,
  turnIndex: Schema.NullOr(Schema.Int),
  detail: Schema.NullOr(Detail)
}).pipe(Schema.encodeKeys({ turnIndex: "turn_index" }))
export type SessionEvent = typeof SessionEvent.Type

/** How many expired sessions are returned at once. */
export const expiredBatch = 500

export class Ledger extends Context.Service<
  Ledger,
  {
    readonly addSession: (session: Session) => Effect.Effect<void, StorageUnavailable>
    readonly findSession: (of: {
      readonly sessionId: string
      readonly appId: number
    }) => Effect.Effect<Option.Option<Session>, StorageUnavailable>
    /** A page of the sessions of an app, newest first. */
    readonly listSessions: (of: SessionPages.Request) => Effect.Effect<SessionPages.Page<Session>, StorageUnavailable>
    /** The ids of the open sessions of an app. */
    readonly openSessionsOf: (appId: number) => Effect.Effect<ReadonlyArray<SessionId>, StorageUnavailable>
    /** The apps without a token that have open sessions, uploads or kept answers. */
    readonly revokedApps: Effect.Effect<ReadonlyArray<number>, StorageUnavailable>
    /** Whether a session is open at another server. */
    readonly isOpenElsewhere: (sessionId: SessionId) => Effect.Effect<boolean, StorageUnavailable>
    /** Every open session of this server, of all apps. */
    readonly openSessions: Effect.Effect<ReadonlyArray<Session>, StorageUnavailable>
    /** The ids of all open sessions, also of other servers. */
    readonly openSessionIds: Effect.Effect<ReadonlyArray<SessionId>, StorageUnavailable>
    /** Records where a session works from now on. */
    readonly moveSession: (sessionId: SessionId, cwd: string) => Effect.Effect<void, StorageUnavailable>
    /**
     * Counts a turn that is about to be handed to the agent, and returns its number. If the end of the turn before it could
     * not be written, that one is ended first.
     */
    readonly beginTurn: (sessionId: SessionId) => Effect.Effect<number, StorageUnavailable>
    readonly endTurn: (outcome: TurnOutcome) => Effect.Effect<void, StorageUnavailable>
    /** Ends the turns that this server was running when it was killed; how they ended is unknown. */
    readonly endCutTurns: Effect.Effect<void, StorageUnavailable>
    /** All events of a session, oldest first. */
    readonly listEvents: (sessionId: string) => Effect.Effect<ReadonlyArray<SessionEvent>, StorageUnavailable>
    /** The events of a session after one of them, oldest first, at most as many as the limit. */
    readonly listEventsAfter: (of: {
      readonly sessionId: string
      readonly after: number
      readonly limit: number
    }) => Effect.Effect<ReadonlyArray<SessionEvent>, StorageUnavailable>
    /** Closes a session, and returns whether it was open until now. */
    readonly closeSession: (
      sessionId: SessionId,
      kind?: "close" | "sweep_close"
    ) => Effect.Effect<boolean, StorageUnavailable>
    /** The open sessions of this server that had no turn since then. */
    readonly idleSessions: (since: DateTime.Utc) => Effect.Effect<ReadonlyArray<SessionId>, StorageUnavailable>
    /** Some of the sessions that had been closed by then, `expiredBatch` of them if there are so many. */
    readonly expiredSessions: (closedBy: DateTime.Utc) => Effect.Effect<ReadonlyArray<SessionId>, StorageUnavailable>
    /** Deletes sessions, but not their events. */
    readonly deleteSessions: (sessionIds: ReadonlyArray<SessionId>) => Effect.Effect<void, StorageUnavailable>
    /** Deletes the older events of sessions and rows of runs. */
    readonly deleteAudit: (before: DateTime.Utc) => Effect.Effect<void, StorageUnavailable>
    /**
     * Clears all deleted rows from the files of the ledger: until then their text is still in the database's write-ahead
     * log.
     */
    readonly clearDeleted: Effect.Effect<void, StorageUnavailable>
    /** Fails if the ledger cannot be written. */
    readonly probe: Effect.Effect<void, StorageUnavailable>
  }
>()("effect-clawdforge/server/storage/Ledger") {}

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
        UPDATE sessions SET closed_at = ${at} WHERE session_id = ${sessionId} AND closed_at IS NULL RETURNING app_id`
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
    deleteAudit,
    clearDeleted: orUnavailable(clearDeleted),
    probe: orUnavailable(probe())
  })
})

export const layer = Layer.effect(Ledger, make)
