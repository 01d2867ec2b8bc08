/**
 * The ledger of a server in memory.
 */
import { DateTime, Effect, Layer, Option } from "effect"
import type { SessionId } from "../../wire/Ids.ts"
import * as Usage from "../../wire/Usage.ts"
import { expiredBatch, Ledger, type Session, type SessionEvent } from "../../server/storage/Ledger.ts"
import type { Page, Request } from "../../server/storage/SessionPages.ts"
import type { SessionRow, Store } from "./Store.ts"

type Kind = "create" | "turn" | "close" | "sweep_close" | "hard_delete"

const isOpen = ({ session }: SessionRow) => session.closedAt === null

const matches = (session: Session, { appId, includeClosed, meta = new Map() }: Request): boolean =>
  session.appId === appId &&
  (includeClosed || session.closedAt === null) &&
  [...meta].every(
    ([name, value]) => session.meta !== null && Object.hasOwn(session.meta, name) && session.meta[name] === value
  )

export const make = (store: Store): Ledger["Service"] => {
  const rows = () => [...store.sessions.values()]
  const idsOf = (rows: ReadonlyArray<SessionRow>) => rows.map(({ session }) => session.sessionId)
  const openRows = () => rows().filter(isOpen)

  const addEvent = Effect.fnUntraced(function* (
    sessionId: SessionId,
    kind: Kind,
    more: Partial<Pick<SessionEvent, "detail" | "turnIndex">> = {}
  ) {
    const at = yield* DateTime.now
    store.events.push({ sessionId, seq: store.next(), at, kind, turnIndex: null, detail: null, ...more })
  })

  const update = (sessionId: SessionId, change: (session: Session) => Partial<Session>) => {
    const row = store.sessions.get(sessionId)
    if (row !== undefined) row.session = { ...row.session, ...change(row.session) }
    return row
  }

  const endCut = Effect.fnUntraced(function* (row: SessionRow) {
    if (!row.inTurn) return
    row.inTurn = false
    const { sessionId, turnCount: turnIndex } = row.session
    const lastTurnAt = yield* DateTime.now
    update(sessionId, () => ({ lastTurnAt }))
    yield* addEvent(sessionId, "turn", { turnIndex, detail: { stop_reason: "unknown" } })
  })

  const listSessions = (request: Request): Page<Session> => {
    const { before = Infinity, limit } = request
    const found = rows().filter(({ seq, session }) => seq < before && matches(session, request))
    const page = found.toReversed().slice(0, limit)
    return {
      sessions: page.map(({ session }) => session),
      next: found.length > limit ? page.at(-1)?.seq : undefined
    }
  }

  return {
    addSession: Effect.fnUntraced(function* (session) {
      store.sessions.set(session.sessionId, { seq: store.next(), session, inTurn: false })
      yield* addEvent(session.sessionId, "create")
    }),
    findSession: ({ appId, sessionId }) =>
      Effect.sync(() =>
        Option.fromUndefinedOr(rows().find(({ session }) => session.sessionId === sessionId)).pipe(
          Option.map(({ session }) => session),
          Option.filter((session) => session.appId === appId)
        )
      ),
    listSessions: (request) => Effect.sync(() => listSessions(request)),
    openSessionsOf: (appId) => Effect.sync(() => idsOf(openRows().filter(({ session }) => session.appId === appId))),
    revokedApps: Effect.sync(() => {
      const live = new Set([...store.apps.values()].map(({ id }) => id))
      const used = [
        ...openRows().map(({ session }) => session),
        ...store.uploads.values(),
        ...store.calls.values()
      ].map(({ appId }) => appId)
      return [...new Set(used)].filter((appId) => !live.has(appId))
    }),
    isOpenElsewhere: () => Effect.succeed(false),
    openSessions: Effect.sync(() => openRows().map(({ session }) => session)),
    openSessionIds: Effect.sync(() => idsOf(openRows())),
    moveSession: (sessionId, cwd) => Effect.sync(() => update(sessionId, () => ({ cwd }))),
    beginTurn: Effect.fnUntraced(function* (sessionId) {
      const row = store.sessions.get(sessionId)
      if (row === undefined) return yield* Effect.die(new Error(`there is no session ${sessionId}`))
      yield* endCut(row)
      row.inTurn = true
      update(sessionId, ({ turnCount }) => ({ turnCount: turnCount + 1 }))
      return row.session.turnCount
    }),
    endTurn: Effect.fnUntraced(function* ({ durationMillis, sessionId, stopReason, turnIndex, usage }) {
      const lastTurnAt = yield* DateTime.now
      const row = update(sessionId, (session) => ({
        lastTurnAt,
        usage: usage === undefined ? session.usage : Usage.add(session.usage ?? {}, usage)
      }))
      if (row !== undefined) row.inTurn = false
      yield* addEvent(sessionId, "turn", {
        turnIndex,
        detail: { stop_reason: stopReason, duration_ms: durationMillis }
      })
    }),
    endCutTurns: Effect.suspend(() => Effect.forEach(rows(), endCut, { discard: true })),
    listEvents: (sessionId) => Effect.sync(() => store.events.filter((event) => event.sessionId === sessionId)),
    listEventsAfter: ({ after, limit, sessionId }) =>
      Effect.sync(() =>
        store.events.filter((event) => event.sessionId === sessionId && event.seq > after).slice(0, limit)
      ),
    closeSession: Effect.fnUntraced(function* (sessionId, kind = "close") {
      const row = store.sessions.get(sessionId)
      if (row === undefined || !isOpen(row)) return false
      const closedAt = yield* DateTime.now
      update(sessionId, () => ({ closedAt, mcpServers: null }))
      yield* addEvent(sessionId, kind)
      return true
    }),
    idleSessions: (since) =>
      Effect.sync(() =>
        idsOf(
          openRows().filter(({ session }) =>
            DateTime.isLessThanOrEqualTo(session.lastTurnAt ?? session.createdAt, since)
          )
        )
      ),
    expiredSessions: (closedBy) =>
      Effect.sync(() =>
        idsOf(
          rows().filter(
            ({ session }) => session.closedAt !== null && DateTime.isLessThanOrEqualTo(session.closedAt, closedBy)
          )
        ).slice(0, expiredBatch)
      ),
    deleteSessions: Effect.fnUntraced(function* (sessionIds) {
      for (const sessionId of sessionIds) {
        if (store.sessions.delete(sessionId)) yield* addEvent(sessionId, "hard_delete")
      }
    }),
    addRun: () => Effect.void,
    deleteAudit: (before) =>
      Effect.sync(() => {
        store.events = store.events.filter(({ at }) => !DateTime.isLessThan(at, before))
      }),
    clearDeleted: Effect.void,
    probe: Effect.void
  }
}

export const layer = (store: Store) => Layer.succeed(Ledger, make(store))
