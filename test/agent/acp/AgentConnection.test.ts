import { assert, it, layer } from "@effect/vitest"
import { type Cause, Deferred, Effect, Exit, Fiber, Latch, Queue, Schema, Scope, Sink, Stream } from "effect"
import { TestClock } from "effect/testing"
import * as AgentConnection from "../../../src/agent/acp/AgentConnection.ts"
import * as TurnBudget from "../../../src/server/TurnBudget.ts"
import { patience } from "../../support/Patience.ts"
import { awaitExit, collect, failedTurn, isAlive, Platform, prompt, makeInbox, stubChild } from "../Support.ts"

const budgetSize = 4_000
const message = "no\n\n  credit ".repeat(100)

/** A connection to a stub agent: the test controls its output, it refuses all requests, and it cannot be killed. */
const make = Effect.gen(function* () {
  const output = yield* Queue.unbounded<string, Cause.Done>()
  const notes = yield* Queue.unbounded<string>()
  const exited = yield* Deferred.make<string>()
  const outputReleased = yield* Latch.make()
  const kills: Array<string> = []
  const child = stubChild({
    stdin: Sink.forEach((bytes) => {
      const { id, method } = JSON.parse(new TextDecoder().decode(bytes))
      const report = { jsonrpc: "2.0", method: "session/update", params: { sessionId: "s", update: {} } }
      const refusal = { jsonrpc: "2.0", id, error: { code: 1, message } }
      const messages = method === "work" ? [report, refusal] : [refusal]
      return Queue.offerAll(
        output,
        messages.map((message) => `${JSON.stringify(message)}\n`)
      )
    }),
    stdout: Stream.fromQueue(output).pipe(Stream.encodeText, Stream.ensuring(outputReleased.open)),
    appendStderr: (line) => Queue.offer(notes, line),
    kill: (reason) =>
      Effect.andThen(
        Effect.sync(() => kills.push(reason)),
        Effect.never
      ),
    exited: Deferred.await(exited)
  })
  const budget = TurnBudget.make(budgetSize)
  const scope = yield* Scope.fork(yield* Effect.scope)
  const connection = yield* AgentConnection.make({ name: "odd", child, inbox: makeInbox("deny").inbox, budget }).pipe(
    Scope.provide(scope)
  )
  return {
    connection,
    processEnd: TestClock.withLive(Effect.timeout(connection.ended, patience)),
    processExit: TestClock.withLive(Effect.timeout(connection.exited, patience)),
    kills,
    outputReleased: TestClock.withLive(Effect.timeout(outputReleased.await, patience)),
    close: Scope.close(scope, Exit.void),
    exit: Deferred.succeed(exited, "Agent odd exited with code 0."),
    /** Prints a line, and waits until it has been read. */
    print: Effect.andThen(Queue.offer(output, `${"x".repeat(budgetSize / 2)}\n`), Queue.take(notes)),
    endOutput: Queue.end(output),
    /** Whether none of the budget is reserved. */
    isBudgetFree: Effect.sync(() => {
      const isFree = budget.take(budgetSize)
      if (isFree) budget.give(budgetSize)
      return isFree
    })
  }
})

it.effect("the output of a turn is charged until its end; output outside of turns until the connection closes", () =>
  Effect.gen(function* () {
    const { close, connection, isBudgetFree, print } = yield* make
    yield* print
    assert.isFalse(yield* isBudgetFree)
    const turn = yield* Scope.make()
    yield* Scope.provide(connection.beginTurn, turn)
    assert.isTrue(yield* isBudgetFree)
    yield* print
    assert.isFalse(yield* isBudgetFree)
    yield* Scope.close(turn, Exit.void)
    assert.isTrue(yield* isBudgetFree)
    yield* print
    assert.isFalse(yield* isBudgetFree)
    yield* close
    assert.isTrue(yield* isBudgetFree)
  })
)

it.effect("the output of an agent that has exited is read to its end", () =>
  Effect.gen(function* () {
    const { endOutput, exit, processEnd, processExit, print } = yield* make
    const waiting = yield* Effect.forkChild(processExit)
    yield* exit
    yield* processEnd
    assert.isUndefined(waiting.pollUnsafe())
    yield* print
    yield* endOutput
    assert.strictEqual((yield* Fiber.join(waiting)).error, "Agent odd exited with code 0.")
  })
)

it.effect("descendants that hold the output open after the agent has exited are neither waited for nor signalled", () =>
  Effect.gen(function* () {
    const { exit, processExit, kills } = yield* make
    const waiting = yield* Effect.forkChild(processExit)
    yield* exit
    yield* TestClock.adjust("1 second")
    assert.strictEqual((yield* Fiber.join(waiting)).error, "Agent odd exited with code 0.")
    assert.deepStrictEqual(kills, [])
  })
)

it.effect("an agent that closes its output has ended at once, and is killed if it does not exit within a second", () =>
  Effect.gen(function* () {
    const { endOutput, kills, processEnd } = yield* make
    yield* endOutput
    yield* processEnd
    assert.deepStrictEqual(kills, [])
    yield* TestClock.adjust("1 second")
    assert.deepStrictEqual(kills, ["closed its output and was terminated"])
  })
)

it.effect("the output is not read after the scope has closed", () =>
  Effect.gen(function* () {
    const { close, outputReleased, print } = yield* make
    yield* print
    yield* close
    yield* outputReleased
  })
)

it.effect("the reason of a refused request is one line of bounded length", () =>
  Effect.gen(function* () {
    const { connection } = yield* make
    const refused = yield* Effect.flip(connection.request({ method: "any", params: {}, answer: Schema.Unknown }))
    assert.deepInclude(refused, { _tag: "RequestRefused", message: "no credit ".repeat(100).slice(0, 500) })
  })
)

it.effect("a refused request says whether the agent reported anything while it had it", () =>
  Effect.gen(function* () {
    const { connection } = yield* make
    for (const [method, afterReports] of [
      ["work", true],
      ["any", false]
    ] as const) {
      const refused = yield* Effect.flip(connection.request({ method, params: {}, answer: Schema.Unknown }))
      assert.deepInclude(refused, { _tag: "RequestRefused", afterReports }, method)
    }
  })
)

layer(Platform, { excludeTestServices: true, concurrent: true })(
  "an agent that exits in the middle of a turn",
  (it) => {
    it.effect("with exit code 0: the turn fails after its text so far", () =>
      Effect.gen(function* () {
        const { failure, session, text } = yield* failedTurn("exit0")
        assert.strictEqual(failure.error, "Agent odd exited with code 0.")
        assert.strictEqual(text, "before")
        yield* session.ended
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

    it.effect("by a signal: the failure names the signal", () =>
      Effect.gen(function* () {
        assert.strictEqual((yield* failedTurn("sigkill")).failure.error, "Agent odd was terminated by SIGKILL.")
      })
    )

    it.effect("the next turn fails at once with the same error", () =>
      Effect.gen(function* () {
        const { session } = yield* failedTurn("exit3")
        const failure = yield* Effect.flip(collect(session, prompt("again")))
        assert.strictEqual(failure.error, "Agent odd exited with code 3.")
      })
    )

    it.effect("an agent that closes its output is killed", () =>
      Effect.gen(function* () {
        const { failure, session, text } = yield* failedTurn("close-output")
        assert.strictEqual(failure.error, "Agent odd closed its output and was terminated.")
        assert.strictEqual(text, "before")
        yield* awaitExit([session.pid])
      })
    )

    it.effect("an agent that closes its input is killed at the next message to it", () =>
      Effect.gen(function* () {
        const { failure, session, text } = yield* failedTurn("close-input")
        assert.strictEqual(failure.error, "Agent odd closed its input and was terminated.")
        assert.strictEqual(text, "before")
        yield* awaitExit([session.pid])
      })
    )

    it.effect("the turn does not wait for a descendant that holds the output open", () =>
      Effect.gen(function* () {
        const { failure, text } = yield* failedTurn("held-output")
        assert.strictEqual(failure.error, "Agent odd exited with code 0.")
        const pids: ReadonlyArray<number> = JSON.parse(text)
        assert.isTrue(pids.every(isAlive))
      })
    )

    it.effect("an error response fails the turn with the agent's message, and the process stays alive", () =>
      Effect.gen(function* () {
        const { failure, session } = yield* failedTurn("refuse")
        assert.strictEqual(failure.error, "Agent odd failed the turn: Internal error: no credit")
        assert.isTrue(isAlive(session.pid))
      })
    )

    it.effect("an error response with a kind: the failure names the kind", () =>
      Effect.gen(function* () {
        const { failure } = yield* failedTurn("refuse-kind")
        assert.strictEqual(failure.error, "Agent odd failed the turn: billing_error: No credit")
      })
    )
  }
)
