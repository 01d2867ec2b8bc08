import { assert, describe, it } from "@effect/vitest"
import { DateTime, Effect, Exit, Layer, Option } from "effect"
import { SqlClient } from "effect/sql"
import { TestClock } from "effect/testing"
import type { StorageUnavailable } from "../../../src/api/Errors.ts"
import { SessionId } from "../../../src/wire/Ids.ts"
import type { Usage } from "../../../src/wire/Usage.ts"
import { Owner } from "../../../src/server/storage/Owner.ts"
import * as Ledger from "../../../src/server/storage/Ledger.ts"
import * as SqlLedger from "../../../src/server/storage/SqlLedger.ts"
import type * as SessionPages from "../../../src/server/storage/SessionPages.ts"
import { database } from "./Support.ts"

const withLedger = Effect.provide(Layer.provideMerge(SqlLedger.layer, database))

const session = (name: string, appId = 1): Ledger.Session => ({
  sessionId: SessionId.make(name),
  appId,
  appName: "app",
  agent: "demo",
  agentSessionId: `agent-${name}`,
  model: null,
  effort: null,
  system: null,
  meta: { deep: [1, { "it's": "é" }] },
  cwd: `/data/${name}`,
  createdAt: DateTime.makeUnsafe(1_000),
  lastTurnAt: null,
  turnCount: 0,
  closedAt: null,
  usage: null,
  workspace: null,
  mcpServers: null
})

/** Adds closed sessions of an app, the oldest first: every tenth has the meta `{"even": "yes", "n": 0}`. */
const addMany = (count: number) =>
  SqlClient.SqlClient.use(
    (sql) => sql`WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < ${count})
      INSERT INTO sessions (session_id, app_id, app_name, agent, agent_session_id, meta, cwd, created_at, turn_count, closed_at)
      SELECT 's' || i, 1, 'app', 'demo', 'a', CASE WHEN i % 10 = 0 THEN '{"tenth":"yes","n":0}' END, '/', 1000, 0, 2000 FROM n`
  )

/** The ids of a page, and where the next one begins. */
const pageOf = (of: Partial<SessionPages.Request>) =>
  Effect.map(
    Ledger.Ledger.use((ledger) => ledger.listSessions({ appId: 1, includeClosed: true, limit: 1_000, ...of })),
    ({ next, sessions }) => ({ next, ids: sessions.map(({ sessionId }) => String(sessionId)) })
  )

describe("Ledger", () => {
  it.effect("pages of sessions have each once, also where sessions are added and deleted meanwhile", () =>
    Effect.gen(function* () {
      const ledger = yield* Ledger.Ledger
      yield* addMany(1_205)
      const first = yield* pageOf({})
      assert.deepStrictEqual([first.ids.length, first.ids[0], first.ids[999]], [1_000, "s1205", "s206"])
      yield* ledger.addSession(session("new"))
      yield* ledger.deleteSessions(["s206", "s205", "s1"].map((id) => SessionId.make(id)))
      const second = yield* pageOf({ before: first.next })
      assert.deepStrictEqual([second.ids.length, second.ids[0], second.ids.at(-1)], [203, "s204", "s2"])
      assert.isUndefined(second.next)
      assert.deepStrictEqual(yield* pageOf({ before: first.next, appId: 2 }), { next: undefined, ids: [] })
      const last = yield* pageOf({ limit: 203, before: first.next })
      assert.deepStrictEqual([last.ids.length, last.next], [203, undefined])
    }).pipe(withLedger)
  )

  it.effect("pages of sessions with strings in their meta may be short, since each reads so many rows at most", () =>
    Effect.gen(function* () {
      yield* addMany(10_020)
      const all = yield* pageOf({ meta: new Map([["tenth", "yes"]]), limit: 1_000 })
      assert.deepStrictEqual([all.ids.length, all.ids[0]], [1_000, "s10020"])
      const none = yield* pageOf({ meta: new Map([["tenth", "no"]]) })
      assert.deepStrictEqual([none.ids, none.next], [[], 21])
      assert.deepStrictEqual((yield* pageOf({ meta: new Map([["tenth", "yes"]]), before: none.next })).ids, [
        "s20",
        "s10"
      ])
      for (const other of [
        ["n", "0"],
        ["toString", "yes"],
        ["", "yes"]
      ] as const)
        assert.deepStrictEqual((yield* pageOf({ meta: new Map([other]), before: 100 })).ids, [])
    }).pipe(withLedger)
  )

  it.effect("a session is read as it was written, by its own app only", () =>
    Effect.gen(function* () {
      const ledger = yield* Ledger.Ledger
      yield* ledger.addSession(session("a"))
      assert.isTrue(Exit.isFailure(yield* Effect.exit(ledger.addSession(session("a", 2)))))
      const found = yield* ledger.findSession({ sessionId: "a", appId: 1 })
      assert.deepStrictEqual(Option.getOrUndefined(found), session("a"))
      assert.isTrue(Option.isNone(yield* ledger.findSession({ sessionId: "a", appId: 2 })))
      assert.isTrue(Option.isNone(yield* ledger.findSession({ sessionId: "' OR 1=1 --", appId: 1 })))
    }).pipe(withLedger)
  )

  it.effect("turns are counted when they begin and dated when they end", () =>
    Effect.gen(function* () {
      const ledger = yield* Ledger.Ledger
      const { appId, sessionId } = session("a")
      const current = Effect.map(ledger.findSession({ sessionId, appId }), Option.getOrThrow)
      yield* ledger.addSession(session("a"))
      yield* TestClock.adjust("5 seconds")
      assert.strictEqual(yield* ledger.beginTurn(sessionId), 1)
      assert.strictEqual((yield* current).turnCount, 1)
      assert.isNull((yield* current).lastTurnAt)
      yield* TestClock.adjust("2 seconds")
      yield* ledger.endTurn({ sessionId, appId, turnIndex: 1, stopReason: "end_turn", durationMillis: 2_000 })
      assert.deepStrictEqual((yield* current).lastTurnAt, DateTime.makeUnsafe(7_000))
      assert.strictEqual(yield* ledger.beginTurn(sessionId), 2)
    }).pipe(withLedger)
  )

  it.effect("the usages of turns are added up; what no turn said stays unknown", () =>
    Effect.gen(function* () {
      const ledger = yield* Ledger.Ledger
      const { appId, sessionId } = session("a")
      const usage = Effect.map(ledger.findSession({ sessionId, appId }), (found) => Option.getOrThrow(found).usage)
      yield* ledger.addSession(session("a"))
      const end = Effect.fnUntraced(function* (usage?: Usage) {
        const turnIndex = yield* ledger.beginTurn(sessionId)
        yield* ledger.endTurn({ sessionId, appId, turnIndex, usage, stopReason: "end_turn", durationMillis: 1 })
      })
      yield* end()
      assert.isNull(yield* usage)
      yield* end({ inputTokens: 3, outputTokens: 5 })
      yield* end({ inputTokens: 4, costUsd: 0.5 })
      yield* end()
      assert.deepStrictEqual(yield* usage, { inputTokens: 7, outputTokens: 5, costUsd: 0.5 })
    }).pipe(withLedger)
  )

  it.effect("a turn that was cut short by the end of the server is ended, once", () =>
    Effect.gen(function* () {
      const ledger = yield* Ledger.Ledger
      for (const name of ["cut", "done", "new"]) yield* ledger.addSession(session(name))
      const { appId, sessionId } = session("cut")
      for (const id of [sessionId, SessionId.make("done")]) yield* ledger.beginTurn(id)
      yield* ledger.endTurn({
        ...session("done"),
        usage: undefined,
        turnIndex: 1,
        stopReason: "end_turn",
        durationMillis: 1
      })
      yield* TestClock.adjust("9 seconds")
      yield* ledger.endCutTurns
      yield* ledger.endCutTurns
      const turns = Effect.map(Effect.forEach(["cut", "done", "new"], ledger.listEvents), (events) =>
        events.map((events) => events.filter(({ kind }) => kind === "turn").map((event) => event.detail?.stop_reason))
      )
      assert.deepStrictEqual(yield* turns, [["unknown"], ["end_turn"], []])
      const cut = Option.getOrThrow(yield* ledger.findSession({ sessionId, appId }))
      assert.deepStrictEqual(cut.lastTurnAt, DateTime.makeUnsafe(9_000))
      assert.strictEqual(yield* ledger.beginTurn(sessionId), 2)
    }).pipe(withLedger)
  )

  it.effect("a server that starts finds its own sessions and turns, not those of another server on the ledger", () =>
    Effect.gen(function* () {
      const sql = yield* SqlClient.SqlClient
      const startAs = (id: string) => Effect.provideService(SqlLedger.make, Owner, { id })
      const mine = yield* startAs("mine")
      const theirs = yield* startAs("theirs")
      for (const [ledger, name] of [
        [mine, "mine"],
        [theirs, "theirs"],
        [mine, "of an older server"]
      ] as const) {
        yield* ledger.addSession(session(name.replaceAll(" ", "-")))
        yield* ledger.beginTurn(SessionId.make(name.replaceAll(" ", "-")))
      }
      yield* sql`UPDATE sessions SET owner = NULL WHERE session_id = 'of-an-older-server'`

      yield* mine.endCutTurns
      const turns = Effect.forEach(["mine", "theirs", "of-an-older-server"], (id) =>
        Effect.map(mine.listEvents(id), (events) => events.filter(({ kind }) => kind === "turn").length)
      )
      assert.deepStrictEqual(yield* turns, [1, 0, 1])
      const open = yield* mine.openSessions
      assert.deepStrictEqual(
        open.map(({ sessionId }) => String(sessionId)),
        ["mine", "of-an-older-server"]
      )
      const idle = yield* theirs.idleSessions(DateTime.makeUnsafe(10_000))
      assert.sameMembers(idle.map(String), ["theirs", "of-an-older-server"])
      assert.sameMembers((yield* mine.openSessionIds).map(String), ["mine", "theirs", "of-an-older-server"])
      yield* theirs.endTurn({
        ...session("theirs"),
        usage: undefined,
        turnIndex: 1,
        stopReason: "end_turn",
        durationMillis: 1
      })
      assert.deepStrictEqual(yield* turns, [1, 1, 1])
    }).pipe(withLedger)
  )

  it.effect("a turn whose end could not be written is ended by the next one of its session", () =>
    Effect.gen(function* () {
      const ledger = yield* Ledger.Ledger
      const [a, b] = [session("a"), session("b")]
      for (const each of [a, b]) {
        yield* ledger.addSession(each)
        yield* ledger.beginTurn(each.sessionId)
      }
      assert.strictEqual(yield* ledger.beginTurn(a.sessionId), 2)
      yield* ledger.endTurn({ ...a, usage: undefined, turnIndex: 2, stopReason: "end_turn", durationMillis: 1 })
      const turns = (events: ReadonlyArray<Ledger.SessionEvent>) =>
        events.flatMap(({ detail, turnIndex }) => (turnIndex === null ? [] : [[turnIndex, detail?.stop_reason]]))
      assert.deepStrictEqual(turns(yield* ledger.listEvents("a")), [
        [1, "unknown"],
        [2, "end_turn"]
      ])
      assert.deepStrictEqual(turns(yield* ledger.listEvents("b")), [])
    }).pipe(withLedger)
  )

  it.effect("a change of a session and its event are written together or not at all", () =>
    Effect.gen(function* () {
      const ledger = yield* Ledger.Ledger
      const sql = yield* SqlClient.SqlClient
      const { sessionId } = session("a")
      yield* ledger.addSession(session("a"))
      yield* ledger.beginTurn(sessionId)
      const before = yield* sql`SELECT * FROM sessions`
      yield* sql`CREATE TRIGGER full BEFORE INSERT ON session_events BEGIN SELECT RAISE(ABORT, 'full'); END`
      const changes: ReadonlyArray<Effect.Effect<unknown, StorageUnavailable>> = [
        ledger.addSession(session("b")),
        ledger.endTurn({ ...session("a"), usage: undefined, turnIndex: 1, stopReason: "end_turn", durationMillis: 1 }),
        ledger.endCutTurns,
        ledger.beginTurn(sessionId),
        ledger.closeSession(sessionId),
        ledger.deleteSessions([sessionId])
      ]
      for (const change of changes) {
        assert.strictEqual((yield* Effect.flip(change)).message, "full")
        assert.deepStrictEqual(yield* sql`SELECT * FROM sessions`, before)
      }
    }).pipe(withLedger)
  )

  it.effect("sessions are listed newest first, also within one second", () =>
    Effect.gen(function* () {
      const ledger = yield* Ledger.Ledger
      for (const name of ["b", "a", "c"]) yield* ledger.addSession(session(name))
      yield* ledger.addSession(session("other", 2))
      assert.isTrue(yield* ledger.closeSession(SessionId.make("a")))
      assert.isFalse(yield* ledger.closeSession(SessionId.make("a")))
      const names = (includeClosed: boolean) =>
        Effect.map(ledger.listSessions({ appId: 1, includeClosed, limit: 10 }), ({ sessions }) =>
          sessions.map((row) => row.sessionId)
        )
      assert.deepStrictEqual(
        yield* names(true),
        ["c", "a", "b"].map((name) => SessionId.make(name))
      )
      assert.deepStrictEqual(
        yield* names(false),
        ["c", "b"].map((name) => SessionId.make(name))
      )
      assert.sameMembers(
        [...(yield* ledger.idleSessions(DateTime.makeUnsafe(1_000)))],
        ["b", "c", "other"].map((name) => SessionId.make(name))
      )
      const open = yield* ledger.openSessions
      assert.deepStrictEqual(
        open.map((row) => row.agentSessionId),
        ["agent-b", "agent-c", "agent-other"]
      )
    }).pipe(withLedger)
  )
})
