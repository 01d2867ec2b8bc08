/**
 * What agents do to a server, over HTTP: each harms its own turn only.
 */
import * as NodeFileSystem from "@effect/platform-node/NodeFileSystem"
import { assert, it } from "@effect/vitest"
import { Context, Effect, Fiber, FileSystem, Layer } from "effect"
import { vi } from "vitest"
import * as DemoAgent from "../../src/agent/DemoAgent.ts"
import { awaitExit, isAlive } from "../agent/Support.ts"
import { failureOf, odd, openWith, pong } from "./OddAgents.ts"
import { type App, eventsIn, processesIn, serve, turnOf } from "./Support.ts"
import { eventually } from "../support/Eventually.ts"

/** How a turn of each ends, and what it leaves on its standard error. */
const failing: ReadonlyArray<readonly [behaviour: string, how: string, stderr?: string]> = [
  ["exit0", "exited with code 0."],
  ["exit3", "exited with code 3.", "the disk is on fire\\n"],
  ["exit-without-folder", "exited with code 4."],
  ["sigkill", "was terminated by SIGKILL."],
  ["close-output", "closed its output and was terminated."],
  ["flood", "wrote more than 1000 lines that are not messages."],
  ["flood-updates", "wrote more than 67108864 characters in one turn."],
  ["flood-requests", "sent requests without reading the responses and was terminated."],
  ["long-line", "wrote a line of more than 16777216 characters."],
  ["bad-answer", "sent an invalid response to session/prompt."],
  ["odd-error", "failed the turn: its response is not valid JSON-RPC: no credit"],
  ["refuse", "failed the turn: Internal error: no credit"]
]

const enduring = ["garbage", "chatty", "deep", "deep-input", "deep-answer", "stop-text", "unasked", "odd", "late"]
const slow = ["silent-turn", "deaf", "ignore-cancel", "ignore-term", "permission-in-cancel", "end-on-cancel"]
/** How an agent fails to wake the first time that it is asked to. */
const unready: ReadonlyArray<readonly [behaviour: string, how: string]> = [
  ["exit-at-load", "exited with code 9."],
  ["locked-at-load", "could not restore session session-1: database is locked"],
  ["login-at-load", "could not restore session session-1: Authentication required"]
]

const make = Effect.gen(function* () {
  const fs = yield* FileSystem.FileSystem
  const data = yield* fs.makeTempDirectoryScoped()
  const behaviours = [...failing, ...unready].map(([behaviour]) => behaviour).concat(enduring, slow, "refuse-load")
  const { mint } = yield* serve({
    data,
    maxProcesses: 40,
    agents: [
      DemoAgent.definition,
      ...behaviours.map((behaviour) => odd(behaviour)),
      { ...odd("exit0", false), name: "forgetful" },
      odd("strays", false),
      odd("strays-exit")
    ]
  })
  return { data, app: yield* mint("app") }
}).pipe(Effect.provide(NodeFileSystem.layer))
class Shared extends Context.Service<Shared, Effect.Success<typeof make>>()("test/Shared") {
  static readonly layer = Layer.effect(Shared, make)
}

/** Another session, which goes on while an effect runs. */
const meanwhile = Effect.fnUntraced(function* <A, E, R>(app: App, effect: Effect.Effect<A, E, R>) {
  const { id } = yield* app.open
  const running = yield* Effect.forkChild(effect)
  let turns = 0
  while (running.pollUnsafe() === undefined) {
    const { text } = yield* Effect.flatMap(app.turn(id, "/echo still here"), turnOf)
    assert.strictEqual(text, "still here")
    turns++
  }
  assert.isAbove(turns, 0)
  yield* app.request("DELETE", `/sessions/${id}`)
  return yield* Fiber.join(running)
})

it.layer(Shared.layer, { excludeTestServices: true, concurrent: true })("an agent that", (it) => {
  const fails = Effect.fnUntraced(function* (app: App, [behaviour, how, stderr = ""]: (typeof failing)[number]) {
    const { id } = yield* openWith(app, behaviour)
    const failure = failureOf(yield* app.turn(id, "go"))
    assert.strictEqual(failure.error, `Agent ${behaviour} ${how}`)
    assert.strictEqual(failure.stop_reason, "error")
    if (stderr !== "") assert.strictEqual(JSON.stringify(failure.stderr), `"${stderr}"`)
    // It repeats its history while it is loaded, which is not new.
    const { events, turn_index } = JSON.parse((yield* app.turn(id, "ping")).text)
    assert.deepStrictEqual([turn_index, events], [2, [{ type: "text", content: "pong" }]])
  })

  it.effect("ends, floods or writes garbage fails its turn, and the next turn brings its session back", () =>
    Effect.gen(function* () {
      const { app } = yield* Shared
      yield* meanwhile(
        app,
        Effect.forEach(failing, (each) => fails(app, each), { concurrency: 3, discard: true })
      )
    })
  )

  it.effect("prints, nests, answers or tells what it should not does not fail its turn", () =>
    Effect.gen(function* () {
      const { app } = yield* Shared
      const printed = vi.spyOn(console, "error")
      const texts: Record<string, string> = {}
      for (const behaviour of ["garbage", "deep", "deep-input", "deep-answer", "unasked", "odd"]) {
        const { id } = yield* openWith(app, behaviour)
        const turn = yield* Effect.flatMap(app.turn(id, "go"), turnOf)
        texts[behaviour] = turn.text
        assert.deepStrictEqual(yield* Effect.flatMap(app.turn(id, "ping"), turnOf), { turnIndex: 2, ...pong })
      }
      assert.deepStrictEqual(texts, {
        garbage: "clean",
        deep: "clean",
        "deep-input": "clean",
        "deep-answer": "clean",
        unasked: "clean got -32601",
        odd: "ours"
      })
      // What an agent says is not for the server's own output.
      assert.deepStrictEqual(printed.mock.calls, [])
      printed.mockRestore()
    })
  )

  it.effect("ends a turn for a reason that is a text: the reason is other, and the text is kept nowhere", () =>
    Effect.gen(function* () {
      const { app, data } = yield* Shared
      const { id } = yield* openWith(app, "stop-text")
      const { stopReason } = yield* Effect.flatMap(app.turn(id, "go"), turnOf)
      assert.strictEqual(stopReason, "other")
      const turn = eventsIn(data, id).find(({ kind }) => kind === "turn")
      assert.match(turn?.detail ?? "", /^{"stop_reason":"other","duration_ms":\d+}$/)
    })
  )

  it.effect("prints something in each turn may do so for ever", () =>
    Effect.gen(function* () {
      const { app } = yield* Shared
      const { id } = yield* openWith(app, "chatty")
      for (const turnIndex of [1, 2, 3]) {
        const turn = yield* Effect.flatMap(app.turn(id, "go"), turnOf)
        assert.deepStrictEqual(turn, { turnIndex, stopReason: "end_turn", text: "clean" })
      }
    })
  )

  it.effect("invents a kind of update: it is passed on as unknown, whole", () =>
    Effect.gen(function* () {
      const { app } = yield* Shared
      const { id } = yield* openWith(app, "odd")
      const { text } = yield* app.turn(id, "go")
      assert.include(text, '{"type":"unknown"')
      assert.include(text, '{"sessionUpdate":"telepathy","thought":1}')
    })
  )

  it.effect("goes on after its answer: it belongs to that turn, in its own events or as late events of the next", () =>
    Effect.gen(function* () {
      const fs = yield* FileSystem.FileSystem
      const { app } = yield* Shared
      const { cwd, id } = yield* openWith(app, "late")
      const first = yield* Effect.flatMap(app.turn(id, "go"), turnOf)
      yield* fs.exists(`${cwd}/late`).pipe(eventually("what the agent did after its turn", (there) => there))
      const next = yield* app.turn(id, "ping")
      assert.deepStrictEqual(yield* turnOf(next), { turnIndex: 2, ...pong })
      const { events }: { events: ReadonlyArray<{ turn_index?: number; event?: { content?: string } }> } = JSON.parse(
        next.text
      )
      const late = events.flatMap(({ event, turn_index }) => (turn_index === 1 ? [event?.content ?? ""] : []))
      assert.strictEqual(first.text + late.join(""), "in timetoo latemuch too late")
    }).pipe(Effect.provide(NodeFileSystem.layer))
  )

  /** What a turn answers that is cancelled once its agent has spoken. */
  const cancelled = Effect.fnUntraced(function* (app: App, behaviour: string) {
    const fs = yield* FileSystem.FileSystem
    const { cwd, id } = yield* openWith(app, behaviour)
    const turn = yield* Effect.forkChild(app.turn(id, "go"))
    yield* fs.exists(`${cwd}/working`).pipe(eventually("an agent at work", (there) => there))
    const cancel = yield* app.request("POST", `/sessions/${id}/cancel`)
    assert.deepStrictEqual([cancel.status, cancel.text], [200, '{"ok":true,"cancelled":true}'])
    const { stopReason, text } = yield* Effect.flatMap(Fiber.join(turn), turnOf)
    assert.strictEqual(stopReason, "cancelled")
    assert.deepStrictEqual(yield* Effect.flatMap(app.turn(id, "ping"), turnOf), { turnIndex: 2, ...pong })
    return text
  })

  /** What a turn answers that takes longer than it may. */
  const late = Effect.fnUntraced(function* (app: App, behaviour: string, prompt: string) {
    const { id } = yield* openWith(app, behaviour)
    const body = { prompt, timeout_secs: 1 }
    const failure = failureOf(yield* app.request("POST", `/sessions/${id}/turn`, { body }))
    assert.strictEqual(failure.stop_reason, "timeout")
    assert.strictEqual(failure.error, `Agent ${behaviour} did not finish the turn within 5s.`)
    return yield* Effect.flatMap(app.turn(id, "ping"), turnOf)
  })

  it.effect("is silent, does not read, or ignores its cancel: the turn ends all the same", () =>
    Effect.gen(function* () {
      const { app } = yield* Shared
      const [ignoring, stubborn, asking, ending, silent, deaf] = yield* meanwhile(
        app,
        Effect.all(
          [
            cancelled(app, "ignore-cancel"),
            cancelled(app, "ignore-term"),
            cancelled(app, "permission-in-cancel"),
            cancelled(app, "end-on-cancel"),
            late(app, "silent-turn", "go"),
            late(app, "deaf", `go ${"x".repeat(1_000_000)}`)
          ],
          { concurrency: "unbounded" }
        )
      )
      assert.deepStrictEqual(
        [ignoring, stubborn, asking, ending],
        ["working", "working", "workinggot cancelled", "working"]
      )
      assert.deepStrictEqual([silent.text, silent.turnIndex, deaf.text, deaf.turnIndex], ["pong", 2, "pong", 2])
    }).pipe(Effect.provide(NodeFileSystem.layer))
  )

  it.effect("cannot bring its session back says why, once, and the session is closed", () =>
    Effect.gen(function* () {
      const { app } = yield* Shared
      const unloadable = [
        ["refuse-load", /could not restore session session-1: No such session/],
        ["forgetful", /cannot restore a session/]
      ] as const
      for (const [behaviour, how] of unloadable) {
        const { id } = yield* openWith(app, behaviour)
        failureOf(yield* app.turn(id, "go"))
        assert.match(failureOf(yield* app.turn(id, "ping")).error, how)
        const later = yield* app.turn(id, "ping")
        assert.deepStrictEqual([later.status, later.text], [410, '{"detail":"session is closed"}'])
      }
    })
  )

  it.effect("cannot wake just now fails that turn, which does not count, and the next one tries again", () =>
    Effect.gen(function* () {
      const { app } = yield* Shared
      for (const [behaviour, how] of unready) {
        const { id } = yield* openWith(app, behaviour)
        failureOf(yield* app.turn(id, "go"))
        assert.strictEqual(failureOf(yield* app.turn(id, "ping")).error, `Agent ${behaviour} ${how}`)
        assert.deepStrictEqual(yield* Effect.flatMap(app.turn(id, "ping"), turnOf), { turnIndex: 2, ...pong })
      }
    })
  )

  const strays = (text: string): ReadonlyArray<number> => JSON.parse(text)

  it.effect("starts processes, also outside of its group: they end with the session", () =>
    Effect.gen(function* () {
      const { app } = yield* Shared
      const { id } = yield* openWith(app, "strays")
      const pids = strays((yield* Effect.flatMap(app.turn(id, "go"), turnOf)).text)
      assert.strictEqual(pids.filter(isAlive).length, 4)
      yield* meanwhile(app, Effect.andThen(app.request("DELETE", `/sessions/${id}`), awaitExit(pids)))
    })
  )

  it.effect("leaves processes behind when it ends: they are ended without anybody asking", () =>
    Effect.gen(function* () {
      const { app, data } = yield* Shared
      const { cwd, id } = yield* openWith(app, "strays-exit")
      failureOf(yield* app.turn(id, "go"))
      yield* Effect.sync(() => processesIn(cwd)).pipe(
        eventually("the end of the agent's processes", (pids) => pids.length === 0)
      )
      assert.isTrue(cwd.startsWith(data))
      assert.deepStrictEqual(yield* Effect.flatMap(app.turn(id, "ping"), turnOf), { turnIndex: 2, ...pong })
    })
  )
})
