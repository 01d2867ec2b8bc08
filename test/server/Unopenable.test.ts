/**
 * Agents with which no session can be opened, or not brought back in time.
 */
import * as NodeFileSystem from "@effect/platform-node/NodeFileSystem"
import { assert, it } from "@effect/vitest"
import { Effect, Fiber, FileSystem } from "effect"
import { TestClock } from "effect/testing"
import { patience } from "../support/Patience.ts"
import { failureOf, odd, openWith, pong } from "./OddAgents.ts"
import { type App, processesIn, serve, turnOf } from "./Support.ts"
import { eventually } from "../support/Eventually.ts"

type Refusal = readonly [behaviour: string, error: string, stopReason: string]
const silent: ReadonlyArray<Refusal> = [
  ["silent", "did not answer initialize within 30s.", "timeout"],
  ["silent-new", "did not answer session/new within 30s.", "timeout"]
]
const unopenable: ReadonlyArray<Refusal> = [
  ["version", "speaks protocol version 2, not 1.", "error"],
  ["refuse-new", "could not open a session: Authentication required", "error"],
  ["exit-at-start", "exited with code 7.", "error"]
]

const refused = Effect.fnUntraced(function* (app: App, [behaviour, error, stopReason]: Refusal) {
  const failure = failureOf(yield* app.request("POST", "/sessions", { body: { agent: behaviour } }))
  assert.deepStrictEqual([failure.error, failure.stop_reason], [`Agent ${behaviour} ${error}`, stopReason])
})

/** A server by a clock that stands: it must end without time going by, also where its test fails. */
const serveStill = Effect.fnUntraced(function* (behaviours: ReadonlyArray<string>) {
  const data = yield* Effect.flatMap(FileSystem.FileSystem, (fs) => fs.makeTempDirectoryScoped())
  const agents = behaviours.map((behaviour) => odd(behaviour))
  const { mint } = yield* serve({ data, agents, grace: 0 })
  return { data, app: yield* mint("app") }
})

/** The files in the folders of the sessions, once they are as they should be. */
const filesOnce = Effect.fnUntraced(function* (data: string, until: (files: ReadonlyArray<string>) => boolean) {
  const fs = yield* FileSystem.FileSystem
  const files = fs.readDirectory(`${data}/sessions`, { recursive: true })
  return yield* files.pipe(
    eventually("the files of the sessions", until),
    // A folder may be removed while it is read.
    Effect.retry({ while: ({ reason }) => reason._tag === "NotFound" }),
    Effect.timeout(patience),
    TestClock.withLive
  )
})

it.effect("a session that cannot be opened is 502 with the reason, and leaves nothing", () =>
  Effect.gen(function* () {
    const { app, data } = yield* serveStill([...silent, ...unopenable].map(([behaviour]) => behaviour))
    yield* Effect.forEach(unopenable, (each) => refused(app, each), { concurrency: "unbounded" })
    const waiting = yield* Effect.forEach(silent, (each) => Effect.forkChild(refused(app, each)))
    yield* filesOnce(data, (files) => files.filter((file) => file.endsWith("/asked")).length === silent.length)
    yield* TestClock.adjust("30 seconds")
    yield* Effect.forEach(waiting, Fiber.join)
    yield* filesOnce(data, (files) => files.length === 0)
    assert.deepStrictEqual(processesIn(data), [])
  }).pipe(Effect.scoped, Effect.provide(NodeFileSystem.layer))
)

it.effect("one whose agent is silent when it is woken is woken by the next turn", () =>
  Effect.gen(function* () {
    const { app, data } = yield* serveStill(["silent-load"])
    const { id } = yield* openWith(app, "silent-load")
    failureOf(yield* app.turn(id, "go"))
    const ping = yield* Effect.forkChild(app.turn(id, "ping"))
    yield* filesOnce(data, (files) => files.some((file) => file.endsWith("/asked")))
    yield* TestClock.adjust("30 seconds")
    const failure = failureOf(yield* Fiber.join(ping))
    assert.strictEqual(failure.error, "Agent silent-load did not answer session/load within 30s.")
    // Its history, and its last words, are waited for.
    const passing = TestClock.withLive(Effect.sleep("10 millis")).pipe(
      Effect.andThen(TestClock.adjust("10 millis")),
      Effect.forever
    )
    const answer = yield* Effect.raceFirst(app.turn(id, "ping"), passing)
    assert.deepStrictEqual(yield* turnOf(answer), { turnIndex: 2, ...pong })
  }).pipe(Effect.scoped, Effect.provide(NodeFileSystem.layer))
)
