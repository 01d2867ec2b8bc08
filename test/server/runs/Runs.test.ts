import { assert, describe, it } from "@effect/vitest"
import { Deferred, Duration, Effect, Fiber, FileSystem, Layer, Option, Queue, Stream } from "effect"
import { SqlClient } from "effect/sql"
import { TestClock } from "effect/testing"
import { AgentFailed, AgentOptionRefused, type AgentSession } from "../../../src/agent/Agent.ts"
import { RunFailed } from "../../../src/api/Errors.ts"
import * as AgentPool from "../../../src/server/agents/AgentPool.ts"
import { Agents, type OpenOptions } from "../../../src/server/agents/Agents.ts"
import * as Runs from "../../../src/server/runs/Runs.ts"
import * as SqlLedger from "../../../src/server/storage/SqlLedger.ts"
import * as StoredUploads from "../../../src/server/files/StoredUploads.ts"
import * as Shutdown from "../../../src/server/Shutdown.ts"
import * as Recorder from "../../support/Recorder.ts"
import { storage } from "../storage/Support.ts"

type Turn = AgentSession["turn"]

const answering =
  (...texts: ReadonlyArray<string>): Turn =>
  () =>
    Stream.fromIterable(texts).pipe(
      Stream.map((content) => ({ _tag: "Text" as const, content })),
      Stream.concat(Stream.make({ _tag: "TurnEnd", stopReason: "end_turn", usage: { inputTokens: 7 } }))
    )

/** An agent with the given turn, and what was observed of it. */
const agentOf = (turn: Turn, onOpen: Effect.Effect<void, AgentFailed | AgentOptionRefused> = Effect.void) => {
  const opened: Array<OpenOptions> = []
  const folders: Array<{ readonly open: boolean; readonly closed: boolean }> = []
  const layer = Layer.effect(
    Agents,
    Effect.gen(function* () {
      const fs = yield* FileSystem.FileSystem
      return Agents.of({
        has: () => true,
        names: ["stand-in"],
        defaultName: Option.some("stand-in"),
        offerOf: () => Option.none(),
        open: Effect.fnUntraced(function* (_, options) {
          opened.push(options)
          const open = yield* Effect.orDie(fs.exists(options.cwd))
          yield* Effect.addFinalizer(() =>
            Effect.map(Effect.orDie(fs.exists(options.cwd)), (closed) => folders.push({ open, closed }))
          )
          yield* onOpen
          return { id: "s", pid: 1, isRestorable: false, offer: { features: {} }, ended: Effect.never, turn }
        })
      })
    })
  )
  return { opened, folders, layer }
}

const withRuns = (agent: Pick<ReturnType<typeof agentOf>, "layer">, options: Runs.Options = {}) =>
  Effect.provide(
    Runs.layer(options).pipe(
      Layer.provideMerge(agent.layer),
      Layer.provideMerge(AgentPool.layer({})),
      Layer.provideMerge(Shutdown.layer),
      Layer.provideMerge(StoredUploads.layer({})),
      Layer.provide(SqlLedger.layer),
      Layer.provideMerge(storage)
    )
  )

const app = { id: 5, name: "app" }
const run = Effect.fnUntraced(function* (more: Partial<Runs.NewRun> = {}) {
  const runs = yield* Runs.Runs
  return yield* runs.run({
    app,
    prompt: "prompté",
    files: [],
    timeout: Duration.seconds(5),
    onEvent: () => Effect.void,
    ...more
  })
})

const rows = Effect.gen(function* () {
  const sql = yield* SqlClient.SqlClient
  return yield* sql`SELECT app_id, app_name, agent, prompt_bytes, response_bytes, duration_ms, outcome FROM runs`
})
const row = (outcome: string, more: object = {}) => ({
  app_id: 5,
  app_name: "app",
  agent: "stand-in",
  prompt_bytes: 8,
  response_bytes: 0,
  duration_ms: 0,
  outcome,
  ...more
})

describe("Runs", () => {
  it.effect(
    "a run passes its options to the agent, and its working directory is removed after the agent has ended",
    () => {
      const agent = agentOf(answering("```json\n", '{"é":1}', "\n```"))
      return Effect.gen(function* () {
        const system = { text: "Be brief.", mode: "append" } as const
        const done = yield* run({ model: "m", effort: "low", system })
        assert.deepStrictEqual(done, {
          result: { é: 1 },
          duration: Duration.zero,
          stopReason: "end_turn",
          usage: { inputTokens: 7 }
        })
        const { cwd = "", ...asked } = agent.opened[0] ?? {}
        assert.deepStrictEqual(asked, { model: "m", effort: "low", system })
        assert.deepStrictEqual(agent.folders, [{ open: true, closed: true }])
        const fs = yield* FileSystem.FileSystem
        assert.isFalse(yield* fs.exists(cwd))
        assert.deepStrictEqual(yield* rows, [row("end_turn", { response_bytes: 20 })])
      }).pipe(withRuns(agent))
    }
  )

  it.effect("a run whose agent fails is a failed run", () => {
    const failure = new AgentFailed({ error: "out of paper", stderr: "tail", stopReason: "error" })
    return Effect.gen(function* () {
      const error = yield* Effect.flip(run())
      assert.deepInclude(error, { error: "out of paper", stderr: "tail", duration: Duration.zero, stopReason: "error" })
      assert.deepStrictEqual(yield* rows, [row("error")])
    }).pipe(withRuns(agentOf(() => Stream.fail(failure))))
  })

  it.effect("a run whose agent does not start in time has timed out", () =>
    Effect.gen(function* () {
      const opening = yield* Queue.unbounded<void>()
      yield* Effect.gen(function* () {
        const running = yield* Effect.forkChild(Effect.flip(run()))
        yield* Queue.take(opening)
        yield* TestClock.adjust("5 seconds")
        const error = yield* Fiber.join(running)
        assert.deepInclude(error, {
          error: "Agent stand-in did not finish the run within 5s.",
          duration: Duration.seconds(5),
          stopReason: "timeout"
        })
        assert.deepStrictEqual(yield* rows, [row("timeout", { duration_ms: 5_000 })])
      }).pipe(withRuns(agentOf(answering(), Effect.andThen(Queue.offer(opening, undefined), Effect.never))))
    })
  )

  it.effect("a run has one timeout for the start of its agent and its turn together", () =>
    Effect.gen(function* () {
      const opening = yield* Queue.unbounded<void>()
      const left: Array<Duration.Duration> = []
      const late: Turn = (turn) => {
        left.push(turn.timeout)
        return Stream.fail(new AgentFailed({ error: "its own words", stderr: "tail", stopReason: "timeout" }))
      }
      yield* Effect.gen(function* () {
        const running = yield* Effect.forkChild(Effect.flip(run()))
        yield* Queue.take(opening)
        yield* TestClock.adjust("2 seconds")
        const error = yield* Fiber.join(running)
        assert.deepInclude(error, { error: "Agent stand-in did not finish the run within 5s.", stderr: "tail" })
        assert.deepStrictEqual(left, [Duration.seconds(3)])
      }).pipe(withRuns(agentOf(late, Effect.andThen(Queue.offer(opening, undefined), Effect.sleep("2 seconds")))))
    })
  )

  it.effect("a run with an option that the agent refuses is invalid", () => {
    const refused = new AgentOptionRefused({ option: "effort", error: "no effort at all" })
    return Effect.gen(function* () {
      const error = yield* Effect.flip(run())
      assert.deepInclude(error, {
        detail: [{ loc: ["body", "effort"], msg: "no effort at all", type: "value_error" }]
      })
      assert.deepStrictEqual(yield* rows, [row("refused")])
    }).pipe(withRuns(agentOf(answering(), Effect.fail(refused))))
  })

  it.effect("a refused run whose row cannot be written is refused as such, and the missing row is logged", () => {
    const refused = new AgentOptionRefused({ option: "effort", error: "no effort at all" })
    const recorder = Recorder.make()
    return Effect.gen(function* () {
      const sql = yield* SqlClient.SqlClient
      yield* sql`DROP TABLE runs`
      assert.strictEqual((yield* Effect.flip(run()))._tag, "Invalid")
      assert.include(recorder.logs.join("\n"), "the storage is unavailable")
    }).pipe(withRuns(agentOf(answering(), Effect.fail(refused))), Effect.provide(recorder.layer))
  })

  it.effect("the outcome of a run whose row cannot be written is unknown, whatever its agent calls its end", () => {
    const refusing: Turn = () => Stream.make({ _tag: "TurnEnd", stopReason: "refused" })
    return Effect.gen(function* () {
      const sql = yield* SqlClient.SqlClient
      yield* sql`DROP TABLE runs`
      assert.deepStrictEqual(yield* Effect.flip(run()), RunFailed.unrecorded())
    }).pipe(withRuns(agentOf(refusing)))
  })

  it.effect("a run that is interrupted ends its agent and frees its permit", () =>
    Effect.gen(function* () {
      const agentEnded = yield* Deferred.make<void>()
      const started = yield* Deferred.make<void>()
      const waiting: Turn = () =>
        Stream.fromEffect(Deferred.succeed(started, undefined)).pipe(
          Stream.flatMap(() => Stream.never),
          Stream.ensuring(Deferred.succeed(agentEnded, undefined))
        )
      yield* Effect.gen(function* () {
        const running = yield* Effect.forkChild(run())
        yield* Deferred.await(started)
        const second = yield* Effect.flip(run())
        assert.strictEqual(second._tag, "TooManyRuns")
        yield* Fiber.interrupt(running)
        assert.isTrue(yield* Deferred.isDone(agentEnded))
        assert.deepStrictEqual(yield* rows, [row("cancelled")])
        yield* Effect.forkChild(run(), { startImmediately: true })
      }).pipe(withRuns(agentOf(waiting), { maxRuns: 1 }))
    })
  )

  it.effect("no more runs are executed at once than the limit", () =>
    Effect.gen(function* () {
      const opening = yield* Queue.unbounded<void>()
      const goOn = yield* Deferred.make<void>()
      yield* Effect.gen(function* () {
        const running = yield* Effect.forEach([1, 2, 3, 4], () => Effect.forkChild(run()))
        yield* Queue.takeN(opening, 4)
        assert.strictEqual((yield* Effect.flip(run()))._tag, "TooManyRuns")
        yield* Deferred.succeed(goOn, undefined)
        yield* Effect.forEach(running, Fiber.join)
        assert.strictEqual((yield* run()).result, "x")
        assert.lengthOf(yield* rows, 5)
      }).pipe(withRuns(agentOf(answering("x"), Effect.andThen(Queue.offer(opening, undefined), Deferred.await(goOn)))))
    })
  )

  it.effect("a run whose agent says too much is a failed run", () => {
    const flood: Turn = () =>
      Stream.forever(Stream.make({ _tag: "Text" as const, content: "x".repeat(10 * 1024 * 1024) }))
    return Effect.gen(function* () {
      const error = yield* Effect.flip(run())
      assert.deepInclude(error, { error: "Agent stand-in said too much.", stopReason: "error" })
    }).pipe(withRuns(agentOf(flood)))
  })
})
