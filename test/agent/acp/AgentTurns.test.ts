import { assert, describe, it, layer } from "@effect/vitest"
import { Deferred, Duration, Effect, Fiber, FileSystem, Latch, Result, Schema, Stream } from "effect"
import { TestClock } from "effect/testing"
import { AgentFailed } from "../../../src/agent/Agent.ts"
import type { AgentConnection } from "../../../src/agent/acp/AgentConnection.ts"
import type { AgentInbox } from "../../../src/agent/acp/AgentInbox.ts"
import * as PromptBlocks from "../../../src/agent/acp/PromptBlocks.ts"
import * as AgentTurns from "../../../src/agent/acp/AgentTurns.ts"
import { patience } from "../../support/Patience.ts"
import {
  stubChild,
  collect,
  failedTurn,
  isAlive,
  lastOf,
  makeInbox,
  misbehaving,
  noQuietTime,
  open,
  Platform,
  prompt,
  temporaryFolder,
  textOf
} from "../Support.ts"

layer(Platform, { excludeTestServices: true, concurrent: true })("the events of a turn", (it) => {
  it.effect("two thousand chunks arrive complete and in order, before the end", () =>
    Effect.gen(function* () {
      const events = yield* collect(yield* open(misbehaving("many")), prompt("go"))
      assert.strictEqual(events.length, 2_001)
      assert.strictEqual(textOf(events), Array.from({ length: 2_000 }, (_, index) => `${index} `).join(""))
      assert.deepStrictEqual(lastOf(events), { _tag: "TurnEnd", stopReason: "end_turn" })
    })
  )

  it.effect("the cost of a turn, and its tokens where the agent counts its whole session, are the increase", () =>
    Effect.gen(function* () {
      const session = yield* open(misbehaving("cost"))
      const ends = [yield* collect(session, prompt("one")), yield* collect(session, prompt("two"))].map(lastOf)
      const usage = { inputTokens: 10, outputTokens: 1, totalTokens: 11, costUsd: 0.25 }
      const end = { _tag: "TurnEnd", stopReason: "end_turn", usage } as const
      assert.deepStrictEqual(ends, [end, end])
    })
  )

  it.effect("a slow reader holds the agent back and loses no events", () =>
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
      // By the time that this turn ends, the other one would have ended too without backpressure.
      yield* collect(yield* openIn(meanwhile), prompt("go"))
      assert.deepStrictEqual(yield* finished, [false, true])
      yield* goOn.open
      yield* Fiber.join(turn)
      assert.strictEqual(count, 3_001)
      assert.deepStrictEqual(yield* finished, [true, true])
    })
  )

  it.effect("an unknown kind is kept, another session's update is dropped, and a second response is ignored", () =>
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

  it.effect("lines that are not messages are skipped, and added to the tail of standard error", () =>
    Effect.gen(function* () {
      const events = yield* collect(yield* open(misbehaving("garbage")), prompt("go"))
      assert.deepStrictEqual(events, [
        { _tag: "Text", content: "clean" },
        { _tag: "TurnEnd", stopReason: "end_turn" }
      ])
    })
  )

  it.effect("too many stray lines fail the turn", () =>
    Effect.gen(function* () {
      const { failure } = yield* failedTurn("flood")
      assert.strictEqual(failure.error, "Agent odd wrote more than 1000 lines that are not messages.")
      assert.include(failure.stderr, "noise")
    })
  )
})

layer(Platform, { excludeTestServices: true, concurrent: true })("cancelling a turn", (it) => {
  /** Starts a turn and waits for its first event. */
  const started = Effect.fnUntraced(function* (behaviour: string, turn = prompt("go")) {
    const session = yield* open(misbehaving(behaviour))
    const responding = yield* Deferred.make<void>()
    const asked = yield* Deferred.make<void>()
    const fiber = yield* session.turn(turn, Deferred.await(asked)).pipe(
      Stream.tap(() => Deferred.succeed(responding, undefined)),
      Stream.runCollect,
      Effect.forkChild
    )
    yield* Deferred.await(responding)
    return { session, fiber, cancel: Deferred.succeed(asked, undefined) }
  })

  it.effect("cancels all further permission requests", () =>
    Effect.gen(function* () {
      const { cancel, fiber, session } = yield* started("permission-in-cancel")
      yield* cancel
      const events = yield* Fiber.join(fiber)
      assert.strictEqual(textOf(events), "workinggot cancelled")
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

  it.effect("kills an agent that ignores it, and the turn ends as cancelled", () =>
    Effect.gen(function* () {
      const { cancel, fiber, session } = yield* started("ignore-cancel")
      yield* cancel
      assert.deepStrictEqual(lastOf(yield* Fiber.join(fiber)), { _tag: "TurnEnd", stopReason: "cancelled" })
      const next = yield* Effect.flip(collect(session, prompt("again")))
      assert.strictEqual(next.error, "Agent odd did not stop after a cancel and was terminated.")
      assert.isFalse(isAlive(session.pid))
    })
  )

  it.effect("kills an agent that ignores SIGTERM too", () =>
    Effect.gen(function* () {
      const { fiber, session } = yield* started("ignore-term")
      yield* Fiber.interrupt(fiber)
      assert.isFalse(isAlive(session.pid))
    })
  )

  it.effect("happens at its timeout, and the turn fails as timed out", () =>
    Effect.gen(function* () {
      const turn = prompt("go", { timeout: Duration.millis(300) })
      const { failure } = yield* failedTurn("permission-in-cancel", turn)
      assert.strictEqual(failure.error, "Agent odd did not finish the turn within 300ms.")
      assert.strictEqual(failure.stopReason, "timeout")
    })
  )

  it.effect("before it has begun ends it as cancelled", () =>
    Effect.gen(function* () {
      const session = yield* open(misbehaving("permission-in-cancel"))
      const events = yield* Stream.runCollect(session.turn(prompt("go"), Effect.void))
      assert.deepStrictEqual(lastOf(events), { _tag: "TurnEnd", stopReason: "cancelled" })
    })
  )

  it.effect("ends it as cancelled even if the agent reports a normal end", () =>
    Effect.gen(function* () {
      const { cancel, fiber } = yield* started("end-on-cancel")
      yield* cancel
      const events = yield* Fiber.join(fiber)
      assert.deepStrictEqual(lastOf(events), { _tag: "TurnEnd", stopReason: "cancelled" })
    })
  )
})

/** A turn of a stub agent that responds as the test says, and a log of the actions on the agent. */
const makeTurns = Effect.fnUntraced(function* (
  answer: (agent: {
    readonly inbox: AgentInbox
    readonly cancelled: Effect.Effect<void>
    readonly killed: Effect.Effect<void>
  }) => Effect.Effect<string | undefined | void>,
  ended: Effect.Effect<void> = Effect.never
) {
  const [cancelled, killed] = [yield* Latch.make(), yield* Latch.make()]
  const { inbox, quietTime } = makeInbox("deny", noQuietTime)
  const actions: Array<string> = []
  const exit = Effect.succeed(new AgentFailed({ error: "Agent odd exited.", stderr: "", stopReason: "error" }))
  const connection: AgentConnection = {
    request: (request) =>
      answer({ inbox, cancelled: cancelled.await, killed: killed.await }).pipe(
        Effect.flatMap((stopReason) => Schema.decodeEffect(request.answer)({ stopReason: stopReason ?? "end_turn" })),
        Effect.orDie
      ),
    notify: (method) =>
      Effect.andThen(
        Effect.sync(() => actions.push(method)),
        cancelled.open
      ),
    beginTurn: Effect.void,
    ended,
    exited: Effect.andThen(ended, exit)
  }
  const child = stubChild({
    kill: () =>
      Effect.andThen(
        Effect.sync(() => actions.push("killed")),
        killed.open
      )
  })
  const { turn } = AgentTurns.make({
    name: "odd",
    sessionId: "s",
    child,
    connection,
    inbox,
    quietTime,
    blocksOf: () => Effect.succeed([]),
    cancelGrace: "2 seconds"
  })
  return { actions, events: turn(prompt("go")) }
})

it.effect("the files of a turn are linked with their media types and sizes, before the prompt as it is", () =>
  Effect.gen(function* () {
    const sent: Array<unknown> = []
    const connection: AgentConnection = {
      request: ({ answer, params }) =>
        Effect.andThen(
          Effect.sync(() => sent.push(params["prompt"])),
          Effect.orDie(Schema.decodeEffect(answer)({ stopReason: "end_turn" }))
        ),
      notify: () => Effect.void,
      beginTurn: Effect.void,
      ended: Effect.never,
      exited: Effect.never
    }
    const { inbox, quietTime } = makeInbox("deny", noQuietTime)
    const child = stubChild({})
    const options = {
      name: "odd",
      sessionId: "s",
      child,
      connection,
      inbox,
      quietTime,
      blocksOf: yield* PromptBlocks.make({ takesImages: false }),
      cancelGrace: "2 seconds" as const
    }
    const files = [
      { name: "list.csv", path: "/a b/attachment-1.csv", size: 3, mediaType: "text/csv" },
      { name: "notes", path: "/attachment-2" }
    ]
    yield* Stream.runDrain(AgentTurns.make(options).turn(prompt(" go ", { files })))
    assert.deepStrictEqual(sent, [
      [
        {
          type: "resource_link",
          name: "list.csv",
          uri: "file:///a%20b/attachment-1.csv",
          mimeType: "text/csv",
          size: 3
        },
        { type: "resource_link", name: "notes", uri: "file:///attachment-2" },
        { type: "text", text: " go " }
      ]
    ])
  }).pipe(Effect.provide(FileSystem.layerNoop({})))
)

describe("the end of a turn", () => {
  it.effect("by the answer `cancelled` that nothing asked for: it has failed if the process ends with it", () =>
    Effect.gen(function* () {
      const ends = Effect.fnUntraced(function* (ended: Effect.Effect<void>) {
        const { events } = yield* makeTurns(() => Effect.succeed("cancelled"), ended)
        const turn = yield* Effect.forkChild(Effect.result(Stream.runCollect(events)))
        yield* TestClock.adjust("100 millis")
        return yield* Fiber.join(turn)
      })
      const killed = yield* ends(Effect.sleep("50 millis"))
      assert.strictEqual(Result.isFailure(killed) && killed.failure.error, "Agent odd exited.")
      const refused = yield* ends(Effect.never)
      assert.deepStrictEqual(refused, Result.succeed([{ _tag: "TurnEnd", stopReason: "cancelled" }]))
    })
  )

  const ask = (inbox: AgentInbox) =>
    inbox.permission({
      sessionId: "s",
      toolCall: { toolCallId: "c", title: "rm" },
      options: [{ optionId: "n", kind: "reject_once" }]
    })

  it.effect("ends a call that was denied and that the agent left open", () =>
    Effect.gen(function* () {
      const { events } = yield* makeTurns(({ inbox }) => Effect.as(ask(inbox), "end_turn"))
      const [call, permission, ...others] = yield* Stream.runCollect(events)
      const rm = { _tag: "ToolCall", id: "c", name: "rm", title: "rm" } as const
      assert.deepStrictEqual([call, permission?._tag], [rm, "Permission"])
      assert.deepStrictEqual(others, [
        { ...rm, status: "failed" },
        { _tag: "TurnEnd", stopReason: "end_turn" }
      ])
    })
  )

  it.effect("ends it also where the turn fails", () =>
    Effect.gen(function* () {
      const { events } = yield* makeTurns(({ inbox }) => Effect.as(ask(inbox), "cancelled"), Effect.void)
      const seen: Array<unknown> = []
      yield* Effect.exit(Stream.runForEach(events, (event) => Effect.sync(() => seen.push(event))))
      assert.deepInclude(seen.at(-1), { _tag: "ToolCall", id: "c", status: "failed" })
    })
  )

  it.effect("by a response: nothing more is sent to the agent", () =>
    Effect.gen(function* () {
      const { actions, events } = yield* makeTurns(() => Effect.void)
      yield* Stream.runDrain(events)
      assert.deepStrictEqual(actions, [])
    })
  )

  it.effect("by an interruption: further output is still read, so that the agent reads the cancel", () =>
    Effect.gen(function* () {
      const reading = yield* Latch.make()
      const { actions, events } = yield* makeTurns(({ cancelled, inbox, killed }) => {
        const update = { sessionUpdate: "agent_message_chunk", content: { type: "text", text: "more" } }
        const say = inbox.update({ sessionId: "s", update })
        // More than the queue holds, once its reader has taken the first event.
        const flood = Effect.all([say, reading.await, ...Array.from({ length: 1_100 }, () => say)], { discard: true })
        return Effect.raceFirst(Effect.andThen(flood, cancelled), killed)
      })
      const turn = yield* Effect.forkChild(Stream.runForEach(events, () => Effect.andThen(reading.open, Effect.never)))
      yield* reading.await
      yield* TestClock.adjust(0)
      yield* Effect.forkChild(Fiber.interrupt(turn), { startImmediately: true })
      // Without any of the grace.
      yield* TestClock.withLive(Effect.timeout(Fiber.await(turn), patience))
      assert.deepStrictEqual(actions, ["session/cancel"])
    })
  )

  it.effect("waits for the exit of an agent that has to be killed", () =>
    Effect.gen(function* () {
      const [asked, gone] = [yield* Latch.make(), yield* Latch.make()]
      const { actions, events } = yield* makeTurns(() => Effect.andThen(asked.open, gone.await))
      const turn = yield* Effect.forkChild(Stream.runDrain(events))
      yield* asked.await
      yield* Effect.forkChild(Fiber.interrupt(turn), { startImmediately: true })
      yield* TestClock.adjust("2 seconds")
      assert.deepStrictEqual(actions, ["session/cancel", "killed"])
      assert.isUndefined(turn.pollUnsafe())
      yield* gone.open
      yield* Fiber.await(turn)
    })
  )
})
