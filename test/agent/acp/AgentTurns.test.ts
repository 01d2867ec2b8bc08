import { assert, describe, it, layer } from "@effect/vitest"
import { Deferred, Duration, Effect, Fiber, FileSystem, Latch, Schema, Stream } from "effect"
import { TestClock } from "effect/testing"
import type { AgentConnection } from "../../../src/agent/acp/AgentConnection.ts"
import * as AgentInbox from "../../../src/agent/acp/AgentInbox.ts"
import * as AgentTurns from "../../../src/agent/acp/AgentTurns.ts"
import {
  childOf,
  collect,
  failedTurn,
  isAlive,
  lastOf,
  misbehaving,
  open,
  Platform,
  prompt,
  temporaryFolder,
  textOf
} from "../Support.ts"

layer(Platform, { excludeTestServices: true, concurrent: true })("what an agent says", (it) => {
  it.effect("two thousand chunks come complete and in order, before the end", () =>
    Effect.gen(function* () {
      const events = yield* collect(yield* open(misbehaving("many")), prompt("go"))
      assert.strictEqual(events.length, 2_001)
      assert.strictEqual(textOf(events), Array.from({ length: 2_000 }, (_, index) => `${index} `).join(""))
      assert.deepStrictEqual(lastOf(events), { _tag: "TurnEnd", stopReason: "end_turn" })
    })
  )

  it.effect("a turn has cost what the session's cost grew by", () =>
    Effect.gen(function* () {
      const session = yield* open(misbehaving("cost"))
      const ends = [yield* collect(session, prompt("one")), yield* collect(session, prompt("two"))].map(lastOf)
      const end = { _tag: "TurnEnd", stopReason: "end_turn", usage: { costUsd: 0.25 } } as const
      assert.deepStrictEqual(ends, [end, end])
    })
  )

  it.effect("an agent is read no faster than its turn, and a reader that falls behind loses nothing", () =>
    Effect.gen(function* () {
      const fs = yield* FileSystem.FileSystem
      const openIn = (cwd: string) => open(misbehaving("plenty"), { cwd })
      const [slowly, meanwhile] = [yield* temporaryFolder, yield* temporaryFolder]
      const finished = Effect.forEach([slowly, meanwhile], (folder) => fs.exists(`${folder}/finished`))
      const [reading, goOn] = [yield* Latch.make(), yield* Latch.make()]
      let count = 0
      const turn = yield* (yield* openIn(slowly)).turn(prompt("go")).pipe(
        Stream.runForEach(() => {
          count++
          return Effect.andThen(reading.open, goOn.await)
        }),
        Effect.forkChild
      )
      yield* reading.await
      // In the time in which this one is read to its end, the other one would come to its end too.
      yield* collect(yield* openIn(meanwhile), prompt("go"))
      assert.deepStrictEqual(yield* finished, [false, true])
      yield* goOn.open
      yield* Fiber.join(turn)
      assert.strictEqual(count, 3_001)
      assert.deepStrictEqual(yield* finished, [true, true])
    })
  )

  it.effect("an unknown kind is kept, another session's update is not, a second answer is ignored", () =>
    Effect.gen(function* () {
      const session = yield* open(misbehaving("odd"))
      const events = yield* collect(session, prompt("go"))
      assert.deepStrictEqual(events, [
        { _tag: "Unknown", raw: { sessionUpdate: "telepathy", thought: 1 } },
        { _tag: "Text", content: "ours" },
        { _tag: "TurnEnd", stopReason: "end_turn" }
      ])
      assert.strictEqual((yield* collect(session, prompt("again"))).length, 3)
    })
  )

  it.effect("lines that are no messages are passed over, and kept for the failure that they may explain", () =>
    Effect.gen(function* () {
      const events = yield* collect(yield* open(misbehaving("garbage")), prompt("go"))
      assert.deepStrictEqual(events, [
        { _tag: "Text", content: "clean" },
        { _tag: "TurnEnd", stopReason: "end_turn" }
      ])
    })
  )

  it.effect("nothing but noise ends it", () =>
    Effect.gen(function* () {
      const { failure } = yield* failedTurn("flood")
      assert.strictEqual(failure.error, "Agent odd wrote more than 1000 lines that are no messages.")
      assert.include(failure.stderr, "noise")
    })
  )
})

layer(Platform, { excludeTestServices: true, concurrent: true })("cancelling", (it) => {
  /** Starts a turn and waits for the first thing that it says. */
  const started = Effect.fnUntraced(function* (behaviour: string, turn = prompt("go")) {
    const session = yield* open(misbehaving(behaviour))
    const speaking = yield* Deferred.make<void>()
    const asked = yield* Deferred.make<void>()
    const fiber = yield* session.turn(turn, Deferred.await(asked)).pipe(
      Stream.tap(() => Deferred.succeed(speaking, undefined)),
      Stream.runCollect,
      Effect.forkChild
    )
    yield* Deferred.await(speaking)
    return { session, fiber, cancel: Deferred.succeed(asked, undefined) }
  })

  it.effect("refuses every permission that is asked for meanwhile", () =>
    Effect.gen(function* () {
      const { cancel, fiber, session } = yield* started("permission-in-cancel")
      yield* cancel
      const events = yield* Fiber.join(fiber)
      assert.strictEqual(textOf(events), "workingtold cancelled")
      assert.deepInclude(events, {
        _tag: "Permission",
        toolCallId: "call-1",
        options: [{ optionId: "yes", name: "Yes", kind: "allow_once" }],
        decision: "cancelled"
      })
      assert.deepStrictEqual(lastOf(events), { _tag: "TurnEnd", stopReason: "cancelled" })
      assert.isTrue(isAlive(session.pid))
    })
  )

  it.effect("an agent that ignores it loses its process, and the turn ends as cancelled", () =>
    Effect.gen(function* () {
      const { cancel, fiber, session } = yield* started("ignore-cancel")
      yield* cancel
      assert.deepStrictEqual(lastOf(yield* Fiber.join(fiber)), { _tag: "TurnEnd", stopReason: "cancelled" })
      assert.strictEqual((yield* session.exited).error, "Agent odd did not obey a cancel and was ended.")
      assert.isFalse(isAlive(session.pid))
    })
  )

  it.effect("an agent that ignores SIGTERM too is killed", () =>
    Effect.gen(function* () {
      const { fiber, session } = yield* started("ignore-term")
      yield* Fiber.interrupt(fiber)
      assert.isFalse(isAlive(session.pid))
    })
  )

  it.effect("a turn that is out of time fails as such", () =>
    Effect.gen(function* () {
      const turn = prompt("go", { timeout: Duration.millis(300) })
      const { failure } = yield* failedTurn("permission-in-cancel", turn)
      assert.strictEqual(failure.error, "Agent odd did not finish the turn within 300ms.")
      assert.strictEqual(failure.stopReason, "timeout")
    })
  )

  it.effect("a turn that was to be cancelled before it began ends as such", () =>
    Effect.gen(function* () {
      const session = yield* open(misbehaving("permission-in-cancel"))
      const events = yield* Stream.runCollect(session.turn(prompt("go"), Effect.void))
      assert.deepStrictEqual(lastOf(events), { _tag: "TurnEnd", stopReason: "cancelled" })
    })
  )

  it.effect("an agent that calls it an end like any other has been cancelled all the same", () =>
    Effect.gen(function* () {
      const { cancel, fiber } = yield* started("end-on-cancel")
      yield* cancel
      const events = yield* Fiber.join(fiber)
      assert.deepStrictEqual(lastOf(events), { _tag: "TurnEnd", stopReason: "cancelled" })
    })
  )
})

/** Turns of an agent that answers as a test has it answer, and what was done to it. */
const makeTurns = Effect.fnUntraced(function* (
  answer: (agent: {
    readonly inbox: AgentInbox.AgentInbox
    readonly cancelled: Effect.Effect<void>
    readonly killed: Effect.Effect<void>
  }) => Effect.Effect<void>
) {
  const [cancelled, killed] = [yield* Latch.make(), yield* Latch.make()]
  const inbox = AgentInbox.make("deny")
  const done: Array<string> = []
  const connection: AgentConnection = {
    request: (request) =>
      answer({ inbox, cancelled: cancelled.await, killed: killed.await }).pipe(
        Effect.andThen(Schema.decodeEffect(request.answer)({ stopReason: "end_turn" })),
        Effect.orDie
      ),
    notify: (method) =>
      Effect.andThen(
        Effect.sync(() => done.push(method)),
        cancelled.open
      ),
    beginTurn: Effect.void,
    gone: Effect.never
  }
  const child = childOf({
    kill: () =>
      Effect.andThen(
        Effect.sync(() => done.push("killed")),
        killed.open
      )
  })
  const { turn } = AgentTurns.make({ name: "odd", sessionId: "s", child, connection, inbox, cancelGrace: "2 seconds" })
  return { done, events: turn(prompt("go")) }
})

describe("the end of a turn", () => {
  it.effect("by its answer: the agent is told nothing more", () =>
    Effect.gen(function* () {
      const { done, events } = yield* makeTurns(() => Effect.void)
      yield* Stream.runDrain(events)
      assert.deepStrictEqual(done, [])
    })
  )

  it.effect("by an interruption: what the agent still says is taken, so that it can hear of it", () =>
    Effect.gen(function* () {
      const reading = yield* Latch.make()
      const { done, events } = yield* makeTurns(({ cancelled, inbox, killed }) => {
        const update = { sessionUpdate: "agent_message_chunk", content: { type: "text", text: "more" } }
        const say = inbox.update({ sessionId: "s", update })
        // Once its reader has the first one, more than there is room for.
        const talking = Effect.all([say, reading.await, ...Array.from({ length: 1_100 }, () => say)], { discard: true })
        return Effect.raceFirst(Effect.andThen(talking, cancelled), killed)
      })
      const turn = yield* Effect.forkChild(Stream.runForEach(events, () => Effect.andThen(reading.open, Effect.never)))
      yield* reading.await
      yield* TestClock.adjust(0)
      yield* Effect.forkChild(Fiber.interrupt(turn), { startImmediately: true })
      yield* TestClock.adjust("2 seconds")
      assert.isDefined(turn.pollUnsafe())
      assert.deepStrictEqual(done, ["session/cancel"])
    })
  )

  it.effect("of an agent that has to be killed is when that is known to be gone", () =>
    Effect.gen(function* () {
      const [asked, gone] = [yield* Latch.make(), yield* Latch.make()]
      const { done, events } = yield* makeTurns(() => Effect.andThen(asked.open, gone.await))
      const turn = yield* Effect.forkChild(Stream.runDrain(events))
      yield* asked.await
      yield* Effect.forkChild(Fiber.interrupt(turn), { startImmediately: true })
      yield* TestClock.adjust("2 seconds")
      assert.deepStrictEqual(done, ["session/cancel", "killed"])
      assert.isUndefined(turn.pollUnsafe())
      yield* gone.open
      yield* Fiber.await(turn)
    })
  )
})
