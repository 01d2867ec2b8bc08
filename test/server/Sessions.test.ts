import * as NodeFileSystem from "@effect/platform-node/NodeFileSystem"
import { assert, describe, it } from "@effect/vitest"
import { Context, Effect, Fiber, FileSystem, Layer } from "effect"
import * as DemoAgent from "../../src/agent/DemoAgent.ts"
import { call, eventsIn, processesIn, serve, turnOf } from "./Support.ts"
import { eventually } from "../support/Eventually.ts"

const withFileSystem = Effect.provide(NodeFileSystem.layer)

/** A server with its data in a folder that the test can look into. */
const make = Effect.gen(function* () {
  const fs = yield* FileSystem.FileSystem
  const data = yield* fs.makeTempDirectoryScoped()
  const server = yield* serve({
    data,
    maxOpenSessions: 12,
    agents: [
      DemoAgent.definition,
      { name: "missing", command: ["/nonexistent/agent"], permissions: "deny" },
      {
        name: "silent",
        command: [process.execPath, "-e", "console.error('no key'); process.exit(4)"],
        permissions: "deny"
      }
    ]
  })
  return { data, mint: server.mint, app: yield* server.mint("app") }
}).pipe(withFileSystem)
class Shared extends Context.Service<Shared, Effect.Success<typeof make>>()("test/Shared") {
  static readonly layer = Layer.effect(Shared, make)
}

const closed = '{"detail":"session is closed"}'

it.layer(Shared.layer, { excludeTestServices: true })("sessions", (it) => {
  it.effect("closing ends the turn in flight and those that wait: 410", () =>
    Effect.gen(function* () {
      const { app, data } = yield* Shared
      const { cwd, id } = yield* app.open
      const flying = yield* Effect.forkChild(app.turn(id, "/wait"))
      yield* app.turns(id, 1)
      const waiting = yield* Effect.forkChild(app.turn(id, "/echo never"), { startImmediately: true })
      const twice = yield* Effect.all(
        [app.request("DELETE", `/sessions/${id}`), app.request("DELETE", `/sessions/${id}`)],
        { concurrency: 2 }
      )
      assert.deepStrictEqual(twice.map(({ text }) => text).toSorted(), [
        '{"ok":true,"already_closed":true}',
        '{"ok":true}'
      ])
      for (const turn of [flying, waiting]) {
        const answer = yield* Fiber.join(turn)
        assert.deepStrictEqual([answer.status, answer.text], [410, closed])
      }
      const later = yield* app.turn(id, "/echo later")
      assert.deepStrictEqual([later.status, later.text], [410, closed])

      const state = yield* app.state(id)
      assert.isFalse(state.live)
      assert.isNotNull(state.closed_at)
      assert.strictEqual(state.turn_count, 1)
      assert.deepStrictEqual(
        eventsIn(data, id)
          .map(({ kind }) => kind)
          .toSorted(),
        ["close", "create", "turn"]
      )

      const fs = yield* FileSystem.FileSystem
      yield* fs.exists(cwd).pipe(eventually("the removal of the working directory", (there) => !there))
      assert.deepStrictEqual(processesIn(cwd), [])
    }).pipe(withFileSystem)
  )

  it.effect("a turn whose client goes away is cancelled, and one that waited is never sent", () =>
    Effect.gen(function* () {
      const { app, data } = yield* Shared
      const { id } = yield* app.open
      const flying = yield* Effect.forkChild(app.turn(id, "/wait"))
      yield* app.turns(id, 1)
      const waiting = yield* Effect.forkChild(app.turn(id, "/echo dropped"), { startImmediately: true })
      // The answer to another request shows that the one before it has arrived.
      yield* app.state(id)
      yield* Fiber.interrupt(waiting)
      yield* Fiber.interrupt(flying)
      const next = yield* Effect.flatMap(app.turn(id, "What did I say?"), turnOf)
      assert.strictEqual(next.turnIndex, 2)
      assert.notInclude(next.text, "dropped")
      const turns = eventsIn(data, id).filter(({ kind }) => kind === "turn")
      assert.deepStrictEqual(
        turns.map(({ detail, turn_index }) => [turn_index, detail?.replace(/\d+/, "N")]),
        [
          [1, '{"stop_reason":"cancelled","duration_ms":N}'],
          [2, '{"stop_reason":"end_turn","duration_ms":N}']
        ]
      )
    })
  )

  it.effect("an agent that fails a turn is 502, and the session goes on", () =>
    Effect.gen(function* () {
      const { app } = yield* Shared
      const { id } = yield* app.open
      const failed = yield* app.turn(id, "/fail out of paper")
      assert.strictEqual(failed.status, 502)
      assert.match(
        failed.text,
        /^\{"ok":false,"error":"[^"]*out of paper[^"]*","stderr":"[^"]*","duration_ms":\d+,"stop_reason":"error"\}$/
      )
      const next = yield* Effect.flatMap(app.turn(id, "/echo still here"), turnOf)
      assert.deepStrictEqual(next, { turnIndex: 2, stopReason: "end_turn", text: "still here" })
    })
  )

  it.effect("an agent that dies in a turn is 502, and the next turn brings the session back", () =>
    Effect.gen(function* () {
      const { app } = yield* Shared
      const { id } = yield* app.open
      yield* app.turn(id, "Remember the word xyzzy.")
      const died = yield* app.turn(id, "/exit 3")
      assert.strictEqual(died.status, 502)
      assert.match(died.text, /"error":"[^"]*\b3\b[^"]*".*"stop_reason":"error"\}$/)
      const next = yield* Effect.flatMap(app.turn(id, "Which word did I tell you?"), turnOf)
      assert.strictEqual(next.turnIndex, 3)
      assert.include(next.text, "xyzzy")
    })
  )

  it.effect("a session that cannot be brought back says so once, and is closed", () =>
    Effect.gen(function* () {
      const fs = yield* FileSystem.FileSystem
      const { app } = yield* Shared
      const { cwd, id } = yield* app.open
      yield* app.turn(id, "/exit 0")
      yield* fs.remove(`${cwd}/.demo-agent`, { recursive: true })
      const lost = yield* app.turn(id, "/echo hello")
      assert.strictEqual(lost.status, 502)
      assert.match(lost.text, /"error":"[^"]*restore[^"]*"/)
      const later = yield* app.turn(id, "/echo hello")
      assert.deepStrictEqual([later.status, later.text], [410, closed])
      assert.strictEqual((yield* app.state(id)).turn_count, 1)
    }).pipe(withFileSystem)
  )

  it.effect("an agent that cannot start is 502, and leaves no session", () =>
    Effect.gen(function* () {
      const fs = yield* FileSystem.FileSystem
      const { data, mint } = yield* Shared
      const app = yield* mint("starts")
      const before = yield* fs.readDirectory(`${data}/sessions`)
      const missing = yield* app.request("POST", "/sessions", { body: { agent: "missing" } })
      assert.strictEqual(missing.status, 502)
      assert.match(missing.text, /^\{"ok":false,"error":"[^"]+","stderr":"","duration_ms":\d+,"stop_reason":"error"\}$/)
      const silent = yield* app.request("POST", "/sessions", { body: { agent: "silent" } })
      assert.strictEqual(silent.status, 502)
      assert.include(silent.text, "no key")
      assert.strictEqual((yield* app.request("GET", "/sessions")).text, '{"ok":true,"sessions":[],"count":0}')
      yield* fs
        .readDirectory(`${data}/sessions`)
        .pipe(eventually("the removal of a working directory", (now) => now.length <= before.length))
    }).pipe(withFileSystem)
  )
})

describe("sessions of a server that ends", () => {
  it.live("as many sessions as are allowed may be open: 503", () =>
    Effect.gen(function* () {
      const { mint } = yield* serve({ maxOpenSessions: 2 })
      const app = yield* mint("app")
      const opening = app.request("POST", "/sessions", { body: { agent: "demo" } })
      const answers = yield* Effect.all([opening, opening, opening], { concurrency: 3 })
      assert.deepStrictEqual(answers.map(({ status }) => String(status)).toSorted(), ["200", "200", "503"])
      assert.strictEqual(answers.find(({ status }) => status === 503)?.text, '{"detail":"session pool is full"}')
      const { text } = yield* app.request("GET", "/sessions")
      yield* app.request("DELETE", `/sessions/${/"session_id":"([^"]+)"/.exec(text)?.[1]}`)
      assert.strictEqual((yield* opening).status, 200)
    }).pipe(Effect.scoped)
  )

  it.live("a client that goes away while its session opens leaves none", () =>
    Effect.gen(function* () {
      const fs = yield* FileSystem.FileSystem
      const data = yield* fs.makeTempDirectoryScoped()
      const server = yield* serve({
        data,
        maxOpenSessions: 1,
        agents: [
          DemoAgent.definition,
          { name: "stuck", command: [process.execPath, "-e", "setInterval(() => {}, 1e6)"], permissions: "deny" }
        ]
      })
      const app = yield* server.mint("app")
      const processes = Effect.sync(() => processesIn(data).length)
      const opening = yield* Effect.forkChild(app.request("POST", "/sessions", { body: { agent: "stuck" } }))
      yield* processes.pipe(eventually("a process", (count) => count > 0))
      yield* Fiber.interrupt(opening)
      yield* processes.pipe(eventually("the end of the process", (count) => count === 0))
      yield* call(`${server.url}/healthz`, "GET").pipe(
        eventually("no open session", ({ text }) => text.includes('"open_sessions":0'))
      )
      yield* app.open
      assert.lengthOf(yield* fs.readDirectory(`${data}/sessions`), 1)
    }).pipe(Effect.scoped, withFileSystem)
  )

  it.live("an open session outlives its server; no process and no turn does", () =>
    Effect.gen(function* () {
      const fs = yield* FileSystem.FileSystem
      const data = yield* fs.makeTempDirectoryScoped()
      const first = yield* serve({ data })
      const app = yield* first.mint("app")
      const { cwd, id } = yield* app.open
      yield* app.turn(id, "Remember the word xyzzy.")
      const { cwd: gone, id: other } = yield* app.open
      yield* app.request("DELETE", `/sessions/${other}`)
      const flying = yield* Effect.forkChild(app.turn(id, "/wait"))
      yield* app.turns(id, 2)
      assert.strictEqual(processesIn(cwd).length, 1)
      yield* first.stop
      const cancelled = yield* Effect.flatMap(Fiber.join(flying), turnOf)
      assert.deepStrictEqual(cancelled, { turnIndex: 2, stopReason: "cancelled", text: "Waiting." })
      assert.deepStrictEqual(processesIn(data), [])
      assert.isTrue(yield* fs.exists(cwd))
      assert.isFalse(yield* fs.exists(gone))

      const ledger = yield* fs.readFile(`${data}/ledger.db`)
      for (const text of [app.token, app.token.slice("cf_".length), "xyzzy"]) {
        assert.isFalse(Buffer.from(ledger).includes(text))
      }
      yield* fs.makeDirectory(`${data}/sessions/left-by-a-crash`)

      const second = yield* serve({ data })
      assert.deepStrictEqual(yield* fs.readDirectory(`${data}/sessions`), [id])
      const again = second.adopt(app.token)
      assert.isTrue((yield* again.state(id)).live)
      const turn = yield* Effect.flatMap(again.turn(id, "Which word did I tell you?"), turnOf)
      assert.strictEqual(turn.turnIndex, 3)
      assert.include(turn.text, "xyzzy")
      assert.strictEqual((yield* again.state(other)).live, false)
    }).pipe(Effect.scoped, withFileSystem)
  )
})
