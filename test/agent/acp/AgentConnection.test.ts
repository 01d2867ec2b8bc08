import { assert, it, layer } from "@effect/vitest"
import { type Cause, Deferred, Effect, Exit, Fiber, Latch, Queue, Schema, Scope, Sink, Stream } from "effect"
import { TestClock } from "effect/testing"
import * as AgentConnection from "../../../src/agent/acp/AgentConnection.ts"
import * as AgentInbox from "../../../src/agent/acp/AgentInbox.ts"
import * as TurnBudget from "../../../src/server/TurnBudget.ts"
import { patience } from "../../support/Patience.ts"
import { childOf, collect, failedTurn, gone, isAlive, Platform, prompt } from "../Support.ts"

const room = 4_000
const message = "no\n\n  credit ".repeat(100)

/** A connection with an agent that prints what a test has it print, refuses all requests, and is not easily ended. */
const make = Effect.gen(function* () {
  const output = yield* Queue.unbounded<string, Cause.Done>()
  const notes = yield* Queue.unbounded<string>()
  const exited = yield* Deferred.make<string>()
  const isReadNoMore = yield* Latch.make()
  const kills: Array<string> = []
  const child = childOf({
    stdin: Sink.forEach((bytes) => {
      const { id } = JSON.parse(new TextDecoder().decode(bytes))
      return Queue.offer(output, `${JSON.stringify({ jsonrpc: "2.0", id, error: { code: 1, message } })}\n`)
    }),
    stdout: Stream.fromQueue(output).pipe(Stream.encodeText, Stream.ensuring(isReadNoMore.open)),
    note: (line) => Queue.offer(notes, line),
    kill: (reason) =>
      Effect.andThen(
        Effect.sync(() => kills.push(reason)),
        Effect.never
      ),
    exited: Deferred.await(exited)
  })
  const budget = TurnBudget.make(room)
  const scope = yield* Scope.fork(yield* Effect.scope)
  const connection = yield* AgentConnection.make({ name: "odd", child, inbox: AgentInbox.make("deny"), budget }).pipe(
    Scope.provide(scope)
  )
  return {
    connection,
    gone: TestClock.withLive(Effect.timeout(connection.gone, patience)),
    kills,
    isReadNoMore: TestClock.withLive(Effect.timeout(isReadNoMore.await, patience)),
    close: Scope.close(scope, Exit.void),
    exit: Deferred.succeed(exited, "Agent odd exited with code 0."),
    /** Has it print a line, and waits until that is read. */
    print: Effect.andThen(Queue.offer(output, `${"x".repeat(room / 2)}\n`), Queue.take(notes)),
    endOutput: Queue.end(output),
    /** Whether nothing is held of what it wrote. */
    isAllGiven: Effect.sync(() => {
      const isAll = budget.take(room)
      if (isAll) budget.give(room)
      return isAll
    })
  }
})

it.effect(
  "what an agent wrote is held to the end of its turn; before its first and after its last, as long as it is there",
  () =>
    Effect.gen(function* () {
      const { close, connection, isAllGiven, print } = yield* make
      yield* print
      assert.isFalse(yield* isAllGiven)
      const turn = yield* Scope.make()
      yield* Scope.provide(connection.beginTurn, turn)
      assert.isTrue(yield* isAllGiven)
      yield* print
      assert.isFalse(yield* isAllGiven)
      yield* Scope.close(turn, Exit.void)
      assert.isTrue(yield* isAllGiven)
      yield* print
      assert.isFalse(yield* isAllGiven)
      yield* close
      assert.isTrue(yield* isAllGiven)
    })
)

it.effect("an agent that has ended is heard to the end", () =>
  Effect.gen(function* () {
    const { endOutput, exit, gone, print } = yield* make
    const waiting = yield* Effect.forkChild(gone)
    yield* exit
    yield* TestClock.adjust(0)
    assert.isUndefined(waiting.pollUnsafe())
    yield* print
    yield* endOutput
    assert.strictEqual((yield* Fiber.join(waiting)).error, "Agent odd exited with code 0.")
  })
)

it.effect("others of its group that hold its output open when it has ended are ended too, and not waited for", () =>
  Effect.gen(function* () {
    const { exit, gone, kills } = yield* make
    const waiting = yield* Effect.forkChild(gone)
    yield* exit
    yield* TestClock.adjust("1 second")
    assert.deepStrictEqual(kills, ["closed its output and was ended"])
    assert.isDefined(waiting.pollUnsafe())
  })
)

it.effect("an agent that is let go is read no more", () =>
  Effect.gen(function* () {
    const { close, isReadNoMore, print } = yield* make
    yield* print
    yield* close
    yield* isReadNoMore
  })
)

it.effect("the words of a refusal are one line, and not many", () =>
  Effect.gen(function* () {
    const { connection } = yield* make
    const refused = yield* Effect.flip(connection.request({ method: "any", params: {}, answer: Schema.Unknown }))
    assert.deepInclude(refused, { _tag: "RequestRefused", message: "no credit ".repeat(100).slice(0, 500) })
  })
)

layer(Platform, { excludeTestServices: true, concurrent: true })("an agent that ends in the middle of a turn", (it) => {
  it.effect("with exit code 0: the turn fails, after what was said", () =>
    Effect.gen(function* () {
      const { failure, session, text } = yield* failedTurn("exit0")
      assert.strictEqual(failure.error, "Agent odd exited with code 0.")
      assert.strictEqual(text, "before")
      assert.strictEqual((yield* session.exited).error, "Agent odd exited with code 0.")
    })
  )

  it.effect("with another exit code: the failure names it and carries standard error", () =>
    Effect.gen(function* () {
      const { failure, text } = yield* failedTurn("exit3")
      assert.strictEqual(failure.error, "Agent odd exited with code 3.")
      assert.strictEqual(failure.stderr, "the disk is on fire\n")
      assert.strictEqual(failure.stopReason, "error")
      assert.strictEqual(text, "before")
    })
  )

  it.effect("by a signal: the failure names it", () =>
    Effect.gen(function* () {
      assert.strictEqual((yield* failedTurn("sigkill")).failure.error, "Agent odd was ended by SIGKILL.")
    })
  )

  it.effect("a turn after that fails at once with the same sentence", () =>
    Effect.gen(function* () {
      const { session } = yield* failedTurn("exit3")
      const failure = yield* Effect.flip(collect(session, prompt("again")))
      assert.strictEqual(failure.error, "Agent odd exited with code 3.")
    })
  )

  it.effect("by closing its output while it lives on: it is ended", () =>
    Effect.gen(function* () {
      const { failure, session, text } = yield* failedTurn("close-output")
      assert.strictEqual(failure.error, "Agent odd closed its output and was ended.")
      assert.strictEqual(text, "before")
      yield* gone([session.pid])
    })
  )

  it.effect("by closing its input while it lives on: it is ended as soon as it cannot be told something", () =>
    Effect.gen(function* () {
      const { failure, session, text } = yield* failedTurn("close-input")
      assert.strictEqual(failure.error, "Agent odd closed its input and was ended.")
      assert.strictEqual(text, "before")
      yield* gone([session.pid])
    })
  )

  it.effect("though a descendant holds its output open: the turn does not wait for that", () =>
    Effect.gen(function* () {
      const { failure, text } = yield* failedTurn("held-output")
      assert.strictEqual(failure.error, "Agent odd exited with code 0.")
      const pids: ReadonlyArray<number> = JSON.parse(text)
      assert.isTrue(pids.every(isAlive))
    })
  )

  it.effect("by an answer that is an error: the failure has the agent's words, and the process lives", () =>
    Effect.gen(function* () {
      const { failure, session } = yield* failedTurn("refuse")
      assert.strictEqual(failure.error, "Agent odd failed the turn: Internal error: no credit")
      assert.isTrue(isAlive(session.pid))
    })
  )

  it.effect("by an error of a kind: the failure names it", () =>
    Effect.gen(function* () {
      const { failure } = yield* failedTurn("refuse-kind")
      assert.strictEqual(failure.error, "Agent odd failed the turn: billing_error: No credit")
    })
  )
})
