import { assert, describe, it } from "@effect/vitest"
import { ByteSize, DateTime, Duration, Effect, Exit, Fiber, Latch, Layer, Stream } from "effect"
import { TestClock } from "effect/testing"
import { SecureRandom } from "effect/crypto/SecureRandom"
import { RunFailed, SessionIsClosed, StorageUnavailable } from "../../../src/api/Errors.ts"
import { SessionId } from "../../../src/wire/Ids.ts"
import { Owner } from "../../../src/server/storage/Owner.ts"
import * as Uploads from "../../../src/server/files/Uploads.ts"
import * as AgentPool from "../../../src/server/agents/AgentPool.ts"
import * as LocalSessionEngine from "../../../src/server/sessions/LocalSessionEngine.ts"
import * as Ledger from "../../../src/server/storage/Ledger.ts"
import * as SqlLedger from "../../../src/server/storage/SqlLedger.ts"
import * as Shutdown from "../../../src/server/Shutdown.ts"
import { database } from "../storage/Support.ts"
import { agentName, agentsOf, directoriesOf, noFiles, noMcpServers, noWorkspaces } from "./Support.ts"

const session = (id: string, agent: string): Ledger.Session => ({
  sessionId: SessionId.make(id),
  appId: 1,
  appName: "app",
  agent,
  agentSessionId: "agent-session",
  model: null,
  effort: null,
  system: null,
  meta: null,
  cwd: `/${id}`,
  createdAt: DateTime.makeUnsafe(0),
  lastTurnAt: null,
  turnCount: 0,
  closedAt: null,
  usage: null,
  workspace: null,
  mcpServers: null
})

const noStates = { open: 0, running: 0, waiting: 0, asleep: 0 }

/** An engine that finds two open sessions, one of them of an agent that is not in its table, and what it did to them. */
const make = Effect.gen(function* () {
  const [closing, goOn] = [yield* Latch.make(), yield* Latch.make(true)]
  const recorded: Array<string> = []
  const removed: Array<string> = []
  const broken = { sessions: false }
  const record = (what: string) => Effect.sync(() => void recorded.push(what))
  const ledger = Layer.mock(Ledger.Ledger)({
    isOpenElsewhere: () => Effect.succeed(false),
    endCutTurns: record("cut turns end"),
    openSessions: Effect.succeed([session("one", "any"), session("two", "other")]),
    openSessionIds: Effect.sync(() => [SessionId.make("one"), SessionId.make("two")]),
    closeSession: (id, kind = "close") =>
      closing.open.pipe(
        Effect.andThen(goOn.await),
        Effect.andThen(Effect.suspend(() => (broken.sessions ? new StorageUnavailable() : record(`${kind} ${id}`)))),
        Effect.as(true)
      )
  })
  const directories = directoriesOf({
    keepOnly: (ids) => record(`keep ${[...ids].join()}`),
    remove: (id) => Effect.sync(() => void removed.push(id))
  })
  const agents = agentsOf(() => Effect.die("the agent cannot be started"))
  const uploads = Layer.mock(Uploads.Uploads)({ maxSize: ByteSize.zero, maxAppSize: ByteSize.zero })
  const random = Layer.mock(SecureRandom)({})
  const context = yield* Layer.build(
    Layer.mergeAll(
      ledger,
      directories,
      agents,
      uploads,
      noFiles,
      noWorkspaces,
      noMcpServers,
      random,
      Shutdown.layer,
      AgentPool.layer({})
    )
  )
  const engine = yield* Effect.provide(LocalSessionEngine.make({}), context)
  return { broken, engine, recorded, removed, closing, goOn }
})

const epoch = DateTime.makeUnsafe(0)
const turn = { id: "turn", prompt: "go", files: [], timeout: Duration.minutes(3) }

describe("LocalSessionEngine", () => {
  it.effect("turns that were cut short are ended, and sessions are kept, also those whose agent is missing", () =>
    Effect.gen(function* () {
      const { engine, recorded } = yield* make
      assert.deepStrictEqual(recorded, ["cut turns end", "keep one,two"])
      assert.deepStrictEqual(yield* engine.states, { ...noStates, asleep: 2 })
      assert.strictEqual(yield* engine.size, 2)
    })
  )

  it.effect("an engine leaves the sessions, the turns and the folders of another one on its ledger alone", () =>
    Effect.gen(function* () {
      const ledger = yield* Effect.provideService(SqlLedger.make, Owner, { id: "theirs" })
      const { sessionId } = session("theirs", agentName)
      yield* ledger.addSession({ ...session("theirs", agentName) })
      yield* ledger.beginTurn(sessionId)
      const kept: Array<string> = []
      const directories = directoriesOf({ keepOnly: (ids) => Effect.sync(() => void kept.push(...ids)) })
      const engine = yield* LocalSessionEngine.make({}).pipe(
        Effect.provide([
          SqlLedger.layer,
          directories,
          agentsOf(() => Effect.die("not to be started")),
          Layer.mock(Uploads.Uploads)({ maxSize: ByteSize.zero, maxAppSize: ByteSize.zero }),
          noFiles,
          noWorkspaces,
          noMcpServers,
          Layer.mock(SecureRandom)({}),
          Shutdown.layer,
          AgentPool.layer({})
        ])
      )
      assert.strictEqual(yield* engine.size, 0)
      assert.deepStrictEqual(kept, ["theirs"])
      const events = yield* ledger.listEvents("theirs")
      assert.deepStrictEqual(
        events.map(({ kind }) => kind),
        ["create"]
      )
    }).pipe(Effect.scoped, Effect.provide(database))
  )

  it.effect("a turn of a session that is being closed as idle fails with SessionIsClosed", () =>
    Effect.gen(function* () {
      const { closing, engine, goOn } = yield* make
      yield* closing.close
      yield* goOn.close
      const call = yield* Effect.forkChild(engine.closeIdle(SessionId.make("one"), epoch))
      yield* closing.await
      const late = Effect.exit(Stream.runDrain(engine.turn(SessionId.make("one"), turn)))
      const running = yield* Effect.forkChild(late, { startImmediately: true })
      yield* goOn.open
      yield* Fiber.join(call)
      assert.deepStrictEqual(yield* Fiber.join(running), Exit.fail(new SessionIsClosed()))
    })
  )

  for (const how of ["close", "closeIdle"] as const) {
    it.effect(`${how} leaves a session as it is where the ledger cannot be written, also for a turn that waited`, () =>
      Effect.gen(function* () {
        const { broken, closing, engine, goOn, removed } = yield* make
        const id = SessionId.make("one")
        broken.sessions = true
        yield* goOn.close
        yield* closing.close
        const call = yield* Effect.forkChild(Effect.flip(engine[how](id, epoch)))
        yield* closing.await
        const late = Effect.exit(Stream.runDrain(engine.turn(id, turn)))
        const running = yield* Effect.forkChild(late, { startImmediately: true })
        yield* goOn.open
        assert.instanceOf(yield* Fiber.join(call), StorageUnavailable)
        assert.isTrue(Exit.hasDies(yield* Fiber.join(running)), "the turn came to its agent")
        assert.strictEqual(yield* engine.size, 2)
        assert.deepStrictEqual(removed, [])
        broken.sessions = false
        assert.isTrue(yield* engine.close(id))
        assert.strictEqual(yield* engine.size, 1)
      })
    )
  }

  it.effect(
    "a turn of a session whose agent is missing fails and does not count; the session is closed like any other",
    () =>
      Effect.gen(function* () {
        const { engine, recorded } = yield* make
        const id = SessionId.make("two")
        const failure = yield* Effect.flip(Stream.runDrain(engine.turn(id, turn)))
        assert.deepStrictEqual(
          failure,
          RunFailed.beforeWork(
            new RunFailed({
              error: "Agent other is not in the server's table of agents.",
              stderr: "",
              duration: Duration.zero,
              stopReason: "error"
            })
          )
        )
        assert.isFalse(yield* engine.cancel(id))
        assert.strictEqual(yield* engine.size, 2)
        assert.isTrue(yield* engine.closeIdle(id, epoch))
        assert.deepStrictEqual(recorded.slice(2), ["sweep_close two"])
        assert.strictEqual(yield* engine.size, 1)
      })
  )

  it.effect("a session that was used since it was found idle is not closed", () =>
    Effect.gen(function* () {
      const { engine, recorded } = yield* make
      const id = SessionId.make("one")
      yield* TestClock.adjust("2 hours")
      // It fails, since the agent cannot be started; but the session was asked for.
      yield* Effect.exit(Stream.runDrain(engine.turn(id, turn)))
      assert.isFalse(yield* engine.closeIdle(id, DateTime.addDuration(epoch, "1 hour")))
      assert.isTrue(yield* engine.closeIdle(id, DateTime.addDuration(epoch, "2 hours")))
      assert.strictEqual(recorded.at(-1), "sweep_close one")
    })
  )

  for (const [how, kind] of [
    ["close", "close"],
    ["closeIdle", "sweep_close"]
  ] as const) {
    it.effect(`${how} is completed when it is interrupted`, () =>
      Effect.gen(function* () {
        const { closing, engine, goOn, recorded } = yield* make
        yield* closing.close
        yield* goOn.close
        const call = yield* Effect.forkChild(engine[how](SessionId.make("one"), epoch))
        yield* closing.await
        const interrupting = yield* Effect.forkChild(Fiber.interrupt(call), { startImmediately: true })
        yield* goOn.open
        yield* Fiber.join(interrupting)
        assert.strictEqual(recorded.at(-1), `${kind} one`)
        assert.deepStrictEqual(yield* engine.states, { ...noStates, asleep: 1 })
        assert.strictEqual(yield* engine.size, 1)
      })
    )
  }
})
