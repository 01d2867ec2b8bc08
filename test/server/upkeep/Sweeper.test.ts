import * as NodeCrypto from "@effect/platform-node/NodeCrypto"
import * as NodeServices from "@effect/platform-node/NodeServices"
import { assert, describe, it } from "@effect/vitest"
import {
  ByteSize,
  Context,
  Deferred,
  Duration,
  Effect,
  Fiber,
  FileSystem,
  Layer,
  Logger,
  Option,
  Redacted,
  Stream
} from "effect"
import { SqlClient } from "effect/sql"
import { TestClock } from "effect/testing"
import { StorageUnavailable } from "../../../src/api/Errors.ts"
import { SessionId } from "../../../src/wire/Ids.ts"
import * as AgentPool from "../../../src/server/agents/AgentPool.ts"
import * as DataFolder from "../../../src/server/storage/DataFolder.ts"
import * as KeptAnswers from "../../../src/server/calls/KeptAnswers.ts"
import * as SqlKeptAnswers from "../../../src/server/calls/SqlKeptAnswers.ts"
import * as Ledger from "../../../src/server/storage/Ledger.ts"
import * as SqlLedger from "../../../src/server/storage/SqlLedger.ts"
import * as LinuxFolders from "../../../src/server/folders/LinuxFolders.ts"
import * as LocalSessionEngine from "../../../src/server/sessions/LocalSessionEngine.ts"
import * as Migrations from "../../../src/server/storage/Migrations.ts"
import * as NodeSqlite from "../../../src/server/storage/NodeSqlite.ts"
import { SessionEngine } from "../../../src/server/sessions/SessionEngine.ts"
import { eventually } from "../../support/Eventually.ts"
import { ownedBy } from "../storage/Support.ts"
import * as Shutdown from "../../../src/server/Shutdown.ts"
import * as Sweeper from "../../../src/server/upkeep/Sweeper.ts"
import * as Uploads from "../../../src/server/files/Uploads.ts"
import { noMcpServers, noWorkspaces } from "../sessions/Support.ts"
import * as LocalWorkspaces from "../../../src/server/workspaces/LocalWorkspaces.ts"
import * as StoredUploads from "../../../src/server/files/StoredUploads.ts"
import { agentSession, agentName, agentsOf } from "../sessions/Support.ts"

/** An agent whose turns end once they are allowed to. */
const agentThatWaits = (go: Deferred.Deferred<void>) =>
  agentSession({
    turn: () => Stream.fromEffect(Effect.as(Deferred.await(go), { _tag: "TurnEnd", stopReason: "end_turn" }))
  })

/** All that a sweep works on, in a folder that the test can read. */
const start = Effect.fnUntraced(function* (options: Sweeper.Options, layer: typeof Sweeper.layer) {
  const fs = yield* FileSystem.FileSystem
  const data = yield* fs.makeTempDirectoryScoped()
  const go = yield* Deferred.make<void>()
  const context = yield* Layer.build(
    layer(options).pipe(
      Layer.provideMerge(LocalSessionEngine.layer({})),
      Layer.provide(Shutdown.layer),
      Layer.provideMerge(
        Layer.mergeAll(StoredUploads.layer({}), LinuxFolders.layer, LocalWorkspaces.layer({}), noMcpServers)
      ),
      Layer.provide(AgentPool.layer({})),
      Layer.provideMerge(agentsOf(() => Effect.succeed(agentThatWaits(go)))),
      Layer.provideMerge(Layer.merge(SqlLedger.layer, SqlKeptAnswers.layer)),
      Layer.provide(ownedBy("this")),
      Layer.provide(Migrations.layer),
      Layer.provideMerge(NodeSqlite.layer({ filename: `${data}/ledger.db` })),
      Layer.provideMerge(DataFolder.layer({ data })),
      Layer.provide(NodeCrypto.layer),
      Layer.provide(NodeServices.layer)
    )
  )
  const engine = Context.get(context, SessionEngine)
  const ledger = Context.get(context, Ledger.Ledger)
  const uploads = Context.get(context, Uploads.Uploads)
  const kept = Context.get(context, KeptAnswers.KeptAnswers)
  const sql = Context.get(context, SqlClient.SqlClient)
  const app = { id: 1, name: "app" }
  yield* sql`INSERT INTO tokens (app_id, name, sha256, created_at) VALUES (1, 'app', 'x', 0)`
  const open = (text: string) => engine.open({ app, agent: agentName, model: null, meta: { text } })
  const kinds = (sessionId: string) =>
    Effect.map(ledger.listEvents(sessionId), (events) => events.map(({ kind }) => kind))
  const find = (sessionId: string) => Effect.map(ledger.findSession({ sessionId, appId: 1 }), Option.getOrUndefined)
  /** Closes a session, and waits until its folder is gone: the engine removes that after it has answered. */
  const close = ({ cwd, sessionId }: Effect.Success<ReturnType<typeof open>>) =>
    Effect.andThen(
      engine.close(sessionId),
      fs.exists(cwd).pipe(
        eventually("the session's folder is gone", (exists) => !exists),
        TestClock.withLive
      )
    )
  /** The files of the folder in which a text stands. */
  const filesWith = Effect.fnUntraced(function* (text: string) {
    const names = yield* fs.readDirectory(data, { recursive: true })
    const found = yield* Effect.filter(names, (name) =>
      fs.readFile(`${data}/${name}`).pipe(
        Effect.map((content) => Buffer.from(content).includes(text)),
        Effect.orElseSucceed(() => false)
      )
    )
    return found
  })
  const turn = (sessionId: typeof Ledger.Session.Type.sessionId) =>
    Stream.runDrain(engine.turn(sessionId, { id: "t", prompt: "canary", files: [], timeout: Duration.infinity }))
  return {
    go,
    engine,
    uploads,
    kept,
    sql,
    runs: sql`SELECT * FROM runs`,
    sweeper: Context.get(context, Sweeper.Sweeper),
    open,
    kinds,
    find,
    close,
    filesWith,
    turn
  }
}, Effect.provide(NodeServices.layer))

/** A sweeper that runs only when the test calls it. */
const asked = (options: Sweeper.Options) => Layer.effect(Sweeper.Sweeper, Sweeper.make(options))

describe("Sweeper", () => {
  it.effect("a session is closed by the first sweep after its idle time to live", () =>
    Effect.gen(function* () {
      const { find, kinds, open } = yield* start({ sessionTtl: "10 minutes" }, Sweeper.layer)
      const { sessionId } = yield* open("x")
      yield* TestClock.adjust("9 minutes")
      assert.isNull((yield* find(sessionId))?.closedAt)
      yield* TestClock.adjust("1 minute")
      assert.isNotNull((yield* find(sessionId))?.closedAt)
      assert.deepStrictEqual(yield* kinds(sessionId), ["create", "sweep_close"])
    })
  )

  it.effect("the idle time restarts with each turn, and a turn that runs or waits keeps the session open", () =>
    Effect.gen(function* () {
      const { find, go, open, turn } = yield* start({}, Sweeper.layer)
      const { sessionId } = yield* open("x")
      const running = yield* Effect.forkChild(turn(sessionId), { startImmediately: true })
      const waiting = yield* Effect.forkChild(turn(sessionId), { startImmediately: true })
      yield* TestClock.adjust("5 hours")
      assert.isNull((yield* find(sessionId))?.closedAt)
      yield* Deferred.succeed(go, undefined)
      yield* Effect.all([Fiber.join(running), Fiber.join(waiting)])
      yield* TestClock.adjust("59 minutes")
      assert.isNull((yield* find(sessionId))?.closedAt)
      yield* TestClock.adjust("2 minutes")
      assert.isNotNull((yield* find(sessionId))?.closedAt)
    })
  )

  it.effect("a closed session is deleted with all its text after the hard time to live, and its events are kept", () =>
    Effect.gen(function* () {
      const { close, filesWith, find, kinds, open } = yield* start({ hardTtl: "2 hours" }, Sweeper.layer)
      const session = yield* open("canary-meta")
      const { sessionId } = session
      const { sessionId: younger } = yield* open("other-meta")
      yield* close(session)
      assert.isNotEmpty(yield* filesWith("canary-meta"))
      yield* TestClock.adjust("119 minutes")
      assert.isDefined(yield* find(sessionId))
      yield* TestClock.adjust("61 seconds")
      assert.isUndefined(yield* find(sessionId))
      assert.deepStrictEqual(yield* filesWith("canary-meta"), [])
      assert.isDefined(yield* find(younger))
      assert.deepStrictEqual(yield* kinds(sessionId), ["create", "close", "hard_delete"])
    })
  )

  it.effect(
    "the answer to a call with a key is kept, with its frames, for the hard time to live, or until its session is deleted",
    () =>
      Effect.gen(function* () {
        const { close, filesWith, kept, open } = yield* start({ hardTtl: "2 hours" }, Sweeper.layer)
        const session = yield* open("x")
        const { sessionId } = session
        const keep = Effect.fnUntraced(function* (key: string, about?: typeof sessionId, opened?: typeof sessionId) {
          const answer = { status: 200, body: '"canary-answer"', sessionId: opened }
          const id = { appId: 1, path: "/p", key }
          yield* kept.begin({ ...id, requestHash: "h", sessionId: about })
          const frames = { count: 1, pieces: [{ first: 1, last: 1, text: `id: 1\ndata: "canary-frame"\n\n` }] }
          yield* kept.end({ ...id, answer, frames })
          return { isKept: Effect.map(kept.find(id), Option.isSome) }
        })
        yield* close(session)
        yield* TestClock.adjust("90 minutes")
        const { isKept: ofSession } = yield* keep("session", sessionId)
        const { isKept: ofOpening } = yield* keep("opening", undefined, sessionId)
        const { isKept: other } = yield* keep("other")
        yield* kept.begin({ appId: 1, path: "/p", key: "running", requestHash: "h" })
        assert.deepStrictEqual([yield* ofSession, yield* ofOpening, yield* other], [true, true, true])
        yield* TestClock.adjust("31 minutes")
        assert.deepStrictEqual([yield* ofSession, yield* ofOpening, yield* other], [false, false, true])
        yield* TestClock.adjust("88 minutes")
        assert.isTrue(yield* other)
        assert.isNotEmpty(yield* filesWith("canary-answer"))
        assert.isNotEmpty(yield* filesWith("canary-frame"))
        yield* TestClock.adjust("2 minutes")
        assert.isFalse(yield* other)
        assert.deepStrictEqual(yield* filesWith("canary-answer"), [])
        assert.deepStrictEqual(yield* filesWith("canary-frame"), [])
        assert.isTrue(Option.isSome(yield* kept.find({ appId: 1, path: "/p", key: "running" })))
      })
  )

  it.effect("the events of sessions and the rows of runs are kept for ninety days", () =>
    Effect.gen(function* () {
      const { engine, kinds, open, runs, sql, sweeper } = yield* start({}, asked)
      const row = { app_id: 1, app_name: "a", agent: "a", prompt_bytes: 1, response_bytes: 1, duration_ms: 1 }
      yield* sql`INSERT INTO runs ${sql.insert({ ...row, at: 0, outcome: "end_turn" })}`
      const { sessionId } = yield* open("x")
      yield* engine.close(sessionId)
      yield* TestClock.adjust("90 days")
      yield* sweeper.sweep
      assert.deepStrictEqual(yield* kinds(sessionId), ["create", "close", "hard_delete"])
      assert.lengthOf(yield* runs, 1)
      yield* TestClock.adjust("1 hour")
      yield* sweeper.sweep
      assert.deepStrictEqual(yield* kinds(sessionId), ["hard_delete"])
      assert.lengthOf(yield* runs, 0)
    })
  )

  it.effect("what could not be removed of a revoked app is removed by the next sweep", () =>
    Effect.gen(function* () {
      const { filesWith, find, kept, open, sql, sweeper, uploads } = yield* start({}, asked)
      const { sessionId } = yield* open("x")
      const receive = (write: Uploads.Write) =>
        Effect.as(write(new TextEncoder().encode("canary-upload")), {
          name: "a",
          size: 13,
          timeToLive: Duration.hours(1)
        })
      yield* uploads.add(1, receive)
      yield* kept.begin({ appId: 1, path: "/p", key: "k", requestHash: "h" })
      yield* sweeper.sweep
      assert.isNull((yield* find(sessionId))?.closedAt)
      yield* sql`DELETE FROM tokens`
      yield* sweeper.sweep
      assert.isNotNull((yield* find(sessionId))?.closedAt)
      assert.deepStrictEqual(yield* filesWith("canary-upload"), [])
      assert.isTrue(Option.isNone(yield* kept.find({ appId: 1, path: "/p", key: "k" })))
    })
  )

  it.effect("a sweep counts the sessions that it closed and deleted", () =>
    Effect.gen(function* () {
      const { engine, open, sweeper } = yield* start({ sessionTtl: "1 minute", hardTtl: "30 seconds" }, asked)
      const { sessionId } = yield* open("one")
      yield* open("two")
      yield* open("three")
      yield* engine.close(sessionId)
      yield* TestClock.adjust("59 seconds")
      assert.deepStrictEqual(yield* sweeper.sweep, { softClosed: 0, hardDeleted: 1 })
      yield* TestClock.adjust("1 seconds")
      assert.deepStrictEqual(yield* sweeper.sweep, { softClosed: 2, hardDeleted: 0 })
      assert.deepStrictEqual(yield* sweeper.sweep, { softClosed: 0, hardDeleted: 0 })
      assert.strictEqual(yield* engine.size, 0)
    })
  )

  it.effect("uploads are removed with the session that used them", () =>
    Effect.gen(function* () {
      const { close, filesWith, open, sweeper, uploads } = yield* start({ hardTtl: "2 hours" }, asked)
      const session = yield* open("x")
      const { cwd, sessionId } = session
      const { token } = yield* uploads.add(1, (write) =>
        Effect.as(write(new TextEncoder().encode("canary-upload")), {
          name: "a.txt",
          size: 13,
          timeToLive: Duration.days(1)
        })
      )
      yield* uploads.stage(yield* uploads.find({ appId: 1, tokens: [Redacted.value(token)] }), { cwd, sessionId })
      yield* close(session)
      yield* TestClock.adjust("1 hour")
      yield* sweeper.sweep
      assert.isNotEmpty(yield* filesWith("canary-upload"))
      yield* TestClock.adjust("1 hour")
      yield* sweeper.sweep
      assert.deepStrictEqual(yield* filesWith("canary-upload"), [])
    })
  )

  it.effect("expired uploads are removed", () =>
    Effect.gen(function* () {
      const { filesWith, uploads } = yield* start({ sessionTtl: "10 minutes" }, Sweeper.layer)
      yield* uploads.add(1, (write) =>
        Effect.as(write(new TextEncoder().encode("canary-upload")), {
          name: "a.txt",
          size: 13,
          timeToLive: Duration.minutes(5)
        })
      )
      assert.isNotEmpty(yield* filesWith("canary-upload"))
      yield* TestClock.adjust("6 minutes")
      assert.deepStrictEqual(yield* filesWith("canary-upload"), [])
    })
  )

  it.effect("the row of a session whose text cannot be removed is kept, so that the next sweep tries again", () =>
    Effect.gen(function* () {
      const done: Array<string> = []
      const note = (what: string) => Effect.sync(() => void done.push(what))
      const ledger = Layer.mock(Ledger.Ledger)({
        idleSessions: () => Effect.succeed([]),
        expiredSessions: () => Effect.succeed([SessionId.make("one")]),
        deleteSessions: () => note("deleted"),
        deleteAudit: () => Effect.void,
        revokedApps: Effect.succeed([]),
        clearDeleted: Effect.void
      })
      const uploads = Layer.mock(Uploads.Uploads)({
        maxSize: ByteSize.zero,
        maxAppSize: ByteSize.zero,
        sweepExpired: Effect.succeed(0),
        removeOfSession: () => note("uploads")
      })
      const kept = Layer.mock(KeptAnswers.KeptAnswers)({
        removeBefore: () => Effect.void,
        removeOfSession: () => Effect.andThen(note("answers"), Effect.die("the disk is gone"))
      })
      const layers = Layer.mergeAll(
        ledger,
        uploads,
        kept,
        Layer.mock(SessionEngine)({}),
        noWorkspaces,
        Logger.layer([])
      )
      yield* Layer.build(Layer.provide(Sweeper.layer({}), layers))
      yield* TestClock.adjust("1 minute")
      assert.deepStrictEqual(done, ["uploads", "answers", "uploads", "answers"])
    })
  )

  it.effect(
    "idle sessions are left to the next sweep where the ledger cannot be written, and the other steps are done",
    () =>
      Effect.gen(function* () {
        const done: Array<string> = []
        const note = (what: string) => Effect.sync(() => void done.push(what))
        const ledger = Layer.mock(Ledger.Ledger)({
          idleSessions: () => Effect.succeed(["one", "two", "three"].map((id) => SessionId.make(id))),
          expiredSessions: () => Effect.as(note("expired"), []),
          deleteSessions: () => Effect.void,
          deleteAudit: () => Effect.void,
          revokedApps: Effect.succeed([]),
          clearDeleted: Effect.void
        })
        const uploads = Layer.mock(Uploads.Uploads)({
          maxSize: ByteSize.zero,
          maxAppSize: ByteSize.zero,
          sweepExpired: Effect.succeed(0)
        })
        const kept = Layer.mock(KeptAnswers.KeptAnswers)({ removeBefore: () => Effect.void })
        const engine = Layer.mock(SessionEngine)({
          closeIdle: (id) =>
            Effect.andThen(
              note(id),
              id === "one" ? Effect.succeed(true) : Effect.fail(StorageUnavailable.from("it is locked"))
            )
        })
        const context = yield* Layer.build(
          Layer.effect(Sweeper.Sweeper, Sweeper.make({})).pipe(
            Layer.provide(Layer.mergeAll(ledger, uploads, kept, noWorkspaces, engine, Logger.layer([])))
          )
        )
        const swept = yield* Context.get(context, Sweeper.Sweeper).sweep
        assert.deepStrictEqual(done, ["one", "two", "expired"])
        assert.deepStrictEqual(swept, { softClosed: 1, hardDeleted: 0 })
      })
  )

  it.effect("a step that fails is logged, and the others are done", () =>
    Effect.gen(function* () {
      const done: Array<string> = []
      const logged: Array<unknown> = []
      const fails = (step: string) =>
        Effect.suspend(() => {
          done.push(step)
          return Effect.die("the disk is gone")
        })
      const ids = ["one", "two"].map((id) => SessionId.make(id))
      const ledger = Layer.mock(Ledger.Ledger)({
        idleSessions: () => Effect.succeed(ids),
        expiredSessions: () => fails("expired"),
        deleteAudit: () => fails("audit"),
        revokedApps: fails("revoked"),
        clearDeleted: fails("clear")
      })
      const uploads = Layer.mock(Uploads.Uploads)({
        maxSize: ByteSize.zero,
        maxAppSize: ByteSize.zero,
        sweepExpired: fails("uploads")
      })
      const kept = Layer.mock(KeptAnswers.KeptAnswers)({ removeBefore: () => fails("kept") })
      const engine = Layer.mock(SessionEngine)({ closeIdle: fails })
      const logger = Logger.layer([Logger.make(({ message }) => logged.push(message))])
      yield* Layer.build(
        Sweeper.layer({}).pipe(
          Layer.provide(Layer.mergeAll(ledger, uploads, kept, noWorkspaces, engine)),
          Layer.provide(logger)
        )
      )
      yield* TestClock.adjust("1 minute")
      const steps = ["one", "two", "expired", "revoked", "uploads", "kept", "audit", "clear"]
      assert.deepStrictEqual(done, [...steps, ...steps])
      assert.deepStrictEqual(
        logged.slice(0, 3),
        ["closing an idle session", "closing an idle session", "deleting expired sessions"].map((what) => [
          `${what} failed`,
          "the disk is gone"
        ])
      )
      assert.lengthOf(logged, 16)
    })
  )
})
