import { assert, describe, it } from "@effect/vitest"
import { ByteSize, Duration, Effect, Exit, Fiber, Latch, Layer, Scope, Stream } from "effect"
import { TestClock } from "effect/testing"
import { AgentOptionRefused, type AgentSession } from "../../../src/agent/Agent.ts"
import { Invalid, RunFailed, SessionIsClosed, StorageUnavailable } from "../../../src/api/Errors.ts"
import { SessionId } from "../../../src/wire/Ids.ts"
import { Uploads } from "../../../src/server/files/Uploads.ts"
import * as AgentPool from "../../../src/server/agents/AgentPool.ts"
import * as LocalSession from "../../../src/server/sessions/LocalSession.ts"
import { Ledger } from "../../../src/server/storage/Ledger.ts"
import * as Shutdown from "../../../src/server/Shutdown.ts"
import { agentSession, agentName, agentsOf, directoriesOf } from "./Support.ts"

const unavailable = StorageUnavailable.from(new Error("the disk is full"))

const endTurn = { _tag: "TurnEnd", stopReason: "end_turn" } as const

/** An agent whose turns are all the given one. */
const agentWith = (turn: ReturnType<AgentSession["turn"]>) => Effect.succeed(agentSession({ turn: () => turn }))

/** A step of the ledger that waits until it may go on. */
const makeStep = Effect.gen(function* () {
  const begun = yield* Latch.make()
  const goOn = yield* Latch.make()
  return { take: Effect.andThen(begun.open, goOn.await), begun: begun.await, goOn: goOn.open }
})

const turn = { id: "first", prompt: "go", files: [], timeout: Duration.minutes(3) }

/** A session with a turn that has begun, whose ledger records one step at a time. */
const make = Effect.fnUntraced(function* (
  open: Effect.Effect<AgentSession, AgentOptionRefused> = agentWith(Stream.succeed(endTurn)),
  written: Effect.Effect<void, StorageUnavailable> = Effect.void,
  counted: Effect.Effect<void, StorageUnavailable> = Effect.void
) {
  const recorded: Array<string> = []
  const record = (what: string) => Effect.sync(() => void recorded.push(what))
  const [beginning, ending] = [yield* makeStep, yield* makeStep]
  const ledger = Layer.mock(Ledger)({
    beginTurn: () => beginning.take.pipe(Effect.andThen(counted), Effect.andThen(record("begun")), Effect.as(1)),
    endTurn: ({ stopReason }) => ending.take.pipe(Effect.andThen(record(stopReason)), Effect.andThen(written))
  })
  const uploads = Layer.mock(Uploads)({
    maxSize: ByteSize.zero,
    maxAppSize: ByteSize.zero,
    stage: () => Effect.succeed([])
  })
  const options = {
    agent: agentName,
    cwd: "/",
    filesFolder: "/files",
    model: null,
    effort: null,
    system: null,
    appId: 1
  }
  const context = yield* Layer.build(
    Layer.mergeAll(
      ledger,
      agentsOf(() => open),
      uploads,
      directoriesOf(),
      Shutdown.layer,
      AgentPool.layer({})
    )
  )
  const scope = yield* Scope.fork(yield* Effect.scope)
  const session = yield* LocalSession.make({ ...options, sessionId: SessionId.make("session") }).pipe(
    Effect.provide(context),
    Scope.provide(scope)
  )
  const close = Scope.close(scope, Exit.void)
  const running = yield* Effect.forkChild(Stream.runDrain(session.turn(turn)))
  const interrupt = Effect.forkChild(Fiber.interrupt(running), { startImmediately: true })
  return { session, close, recorded, beginning, ending, running, interrupt }
})

/** A session whose ledger is written at once. */
const makeQuick = Effect.fnUntraced(function* (...options: Parameters<typeof make>) {
  const made = yield* make(...options)
  yield* made.beginning.goOn
  yield* made.ending.goOn
  return made
})

describe("LocalSession", () => {
  it.effect("a turn that is interrupted while it is counted is recorded as cancelled", () =>
    Effect.gen(function* () {
      const { beginning, ending, interrupt, recorded } = yield* make()
      yield* beginning.begun
      const interrupting = yield* interrupt
      yield* beginning.goOn
      yield* ending.goOn
      yield* Fiber.join(interrupting)
      assert.deepStrictEqual(recorded, ["begun", "cancelled"])
    })
  )

  it.effect("a turn that is interrupted while its end is written keeps its stop reason", () =>
    Effect.gen(function* () {
      const { beginning, ending, interrupt, recorded } = yield* make()
      yield* beginning.goOn
      yield* ending.begun
      const interrupting = yield* interrupt
      yield* ending.goOn
      yield* Fiber.join(interrupting)
      assert.deepStrictEqual(recorded, ["begun", "end_turn"])
    })
  )

  it.effect("the outcome of a turn whose end cannot be written is unknown, and it is not written as another one", () =>
    Effect.gen(function* () {
      const { running, recorded } = yield* makeQuick(undefined, Effect.fail(unavailable))
      assert.deepStrictEqual(yield* Fiber.await(running), Exit.fail(RunFailed.unrecorded()))
      assert.deepStrictEqual(recorded, ["begun", "end_turn"])
    })
  )

  it.effect("a turn that cannot be counted fails before its agent has it", () =>
    Effect.gen(function* () {
      let isWithAgent = false
      const agent = agentWith(
        Stream.suspend(() => {
          isWithAgent = true
          return Stream.succeed(endTurn)
        })
      )
      const { running, recorded } = yield* makeQuick(agent, undefined, Effect.fail(unavailable))
      assert.deepStrictEqual(yield* Fiber.await(running), Exit.fail(unavailable))
      assert.deepStrictEqual(recorded, [])
      assert.isFalse(isWithAgent)
    })
  )

  it.effect("a cancel returns once the turn has ended, with whether the turn was cancelled", () =>
    Effect.gen(function* () {
      const goOn = yield* Latch.make()
      const agent = agentWith(Stream.fromEffect(Effect.as(goOn.await, endTurn)))
      const { beginning, running, session } = yield* makeQuick(agent)
      yield* beginning.begun
      const cancelling = yield* Effect.forkChild(session.cancel(), { startImmediately: true })
      assert.isUndefined(cancelling.pollUnsafe())
      yield* goOn.open
      yield* Fiber.join(running)
      yield* TestClock.adjust(0)
      assert.deepStrictEqual(cancelling.pollUnsafe(), Exit.succeed(false))
    })
  )

  it.effect("a cancel waits for no more than five seconds", () =>
    Effect.gen(function* () {
      const { beginning, session } = yield* makeQuick(agentWith(Stream.never))
      yield* beginning.begun
      const cancelling = yield* Effect.forkChild(session.cancel(), { startImmediately: true })
      yield* TestClock.adjust("4 seconds")
      assert.isUndefined(cancelling.pollUnsafe())
      yield* TestClock.adjust("1 second")
      assert.deepStrictEqual(cancelling.pollUnsafe(), Exit.succeed(true))
    })
  )

  it.effect("a cancel by id drops a turn that waits, which never counts, and touches no other", () =>
    Effect.gen(function* () {
      const goOn = yield* Latch.make()
      const agent = agentWith(Stream.fromEffect(Effect.as(goOn.await, endTurn)))
      const { beginning, running, session, recorded } = yield* makeQuick(agent)
      yield* beginning.begun
      const waiting = yield* Effect.forkChild(Stream.runDrain(session.turn({ ...turn, id: "second" })), {
        startImmediately: true
      })
      yield* TestClock.adjust(0)
      assert.isTrue(yield* session.cancel("second"))
      assert.deepStrictEqual(
        yield* Fiber.await(waiting),
        Exit.fail(Invalid.key("the turn of this key was cancelled before its agent got it"))
      )
      yield* goOn.open
      yield* Fiber.join(running)
      assert.deepStrictEqual(recorded, ["begun", "end_turn"])
    })
  )

  it.effect("a cancel by id that comes before its turn drops it when it arrives", () =>
    Effect.gen(function* () {
      const { session, recorded, running } = yield* makeQuick()
      yield* Fiber.join(running)
      const cancelling = yield* Effect.forkChild(session.cancel("late"), { startImmediately: true })
      assert.isUndefined(cancelling.pollUnsafe())
      const late = yield* Effect.exit(Stream.runDrain(session.turn({ ...turn, id: "late" })))
      assert.deepStrictEqual(late, Exit.fail(Invalid.key("the turn of this key was cancelled before its agent got it")))
      assert.isTrue(yield* Fiber.join(cancelling))
      assert.deepStrictEqual(recorded, ["begun", "end_turn"])
      yield* Stream.runDrain(session.turn({ ...turn, id: "late" }))
      assert.deepStrictEqual(recorded, ["begun", "end_turn", "begun", "end_turn"])
    })
  )

  it.effect("a cancel of a turn that never arrives is given up after five seconds", () =>
    Effect.gen(function* () {
      const { running, session } = yield* makeQuick()
      yield* Fiber.join(running)
      const cancelling = yield* Effect.forkChild(session.cancel("first"), { startImmediately: true })
      yield* TestClock.adjust("4 seconds")
      assert.isUndefined(cancelling.pollUnsafe())
      yield* TestClock.adjust("1 second")
      assert.deepStrictEqual(cancelling.pollUnsafe(), Exit.succeed(false))
    })
  )

  it.effect("cancels by the same id wait for its turn independently: one that is given up leaves the other", () =>
    Effect.gen(function* () {
      const { running, session } = yield* makeQuick()
      yield* Fiber.join(running)
      const cancel = Effect.forkChild(session.cancel("late"), { startImmediately: true })
      const early = yield* cancel
      yield* TestClock.adjust("3 seconds")
      const [late, twin] = [yield* cancel, yield* cancel]
      yield* TestClock.adjust("2 seconds")
      assert.deepStrictEqual(early.pollUnsafe(), Exit.succeed(false))
      const exit = yield* Effect.exit(Stream.runDrain(session.turn({ ...turn, id: "late" })))
      assert.deepStrictEqual(exit, Exit.fail(Invalid.key("the turn of this key was cancelled before its agent got it")))
      assert.deepStrictEqual([yield* Fiber.join(late), yield* Fiber.join(twin)], [true, true])
    })
  )

  it.effect("a cancel by id reaches the agent of the active turn", () =>
    Effect.gen(function* () {
      const agent = Effect.succeed(
        agentSession({
          turn: (_, cancel = Effect.never) =>
            Stream.fromEffect(Effect.as(cancel, { _tag: "TurnEnd", stopReason: "cancelled" }))
        })
      )
      const { beginning, running, session, recorded } = yield* makeQuick(agent)
      yield* beginning.begun
      assert.isTrue(yield* session.cancel("first"))
      yield* Fiber.join(running)
      assert.deepStrictEqual(recorded, ["begun", "cancelled"])
    })
  )

  it.effect("a turn of a session that is stopped, and whose process has ended, fails with SessionIsClosed", () =>
    Effect.gen(function* () {
      const { close, running, session } = yield* makeQuick()
      yield* Fiber.join(running)
      yield* session.stop
      yield* close
      const late = yield* Effect.flip(Stream.runDrain(session.turn(turn)))
      assert.deepStrictEqual(late, new SessionIsClosed())
    })
  )

  it.effect(
    "a session whose agent refuses the options with which it was opened is not lost: the turn fails before it counts",
    () =>
      Effect.gen(function* () {
        const refused = new AgentOptionRefused({ option: "model", error: "No such model." })
        const { recorded, running } = yield* makeQuick(Effect.fail(refused))
        const failure = yield* Effect.flip(Fiber.join(running))
        assert.deepInclude(failure, { _tag: "RunFailed", error: "No such model.", isBeforeWork: true })
        assert.deepStrictEqual(recorded, [])
      })
  )
})
