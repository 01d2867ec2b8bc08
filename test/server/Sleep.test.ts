/**
 * Sessions and the processes that they share, over HTTP.
 */
import * as NodeFileSystem from "@effect/platform-node/NodeFileSystem"
import { assert, describe, it } from "@effect/vitest"
import { Effect, Fiber, FileSystem, Redacted, Schedule } from "effect"
import * as DemoAgent from "../../src/agent/DemoAgent.ts"
import type * as ForgeServer from "../../src/server/ForgeServer.ts"
import { isAlive, misbehaving } from "../agent/Support.ts"
import { call, processesIn, serve, turnOf } from "./Support.ts"
import { eventually } from "../support/Eventually.ts"

/** It cannot load a session. */
const forgetful = { ...misbehaving("many"), name: "forgetful" }

/** It takes two seconds to end. */
const stubborn = misbehaving("ignore-term")
const slow = { ...stubborn, name: "slow", command: [...stubborn.command, "loads"] } as const

const adminToken = "the-admin-token-of-this-test-0123456789"

const make = Effect.fnUntraced(function* (options: Partial<ForgeServer.Options>) {
  const fs = yield* FileSystem.FileSystem
  const data = yield* fs.makeTempDirectoryScoped()
  const { mint, url } = yield* serve({
    data,
    adminToken: Redacted.make(adminToken),
    agents: [DemoAgent.definition, forgetful, slow],
    ...options
  })
  const app = yield* mint("app")
  const alive = Effect.sync(() => processesIn(`${data}/sessions`).length)
  return {
    data,
    app,
    alive,
    /** Waits until so many agents live. */
    aliveAre: (count: number) => alive.pipe(eventually(`${count} live agents`, (now) => now === count)),
    /** What the server says of its sessions and processes, what there is none of left out. */
    counts: Effect.map(
      call(`${url}/metrics`, "GET", { headers: { authorization: `Bearer ${adminToken}` } }),
      (answer) =>
        [...answer.text.matchAll(/^clawdforge_(?:sessions\{state="(\w+)"\}|agent_(processes)) ([1-9]\d*)$/gm)]
          .map(([, state, processes, count]) => `${count} ${state ?? processes}`)
          .toSorted()
    ),
    text: (id: string, prompt: string) => Effect.flatMap(app.turn(id, prompt), turnOf)
  }
}, Effect.provide(NodeFileSystem.layer))

describe.concurrent("sessions and their processes", () => {
  it.live("an idle session gives its process up, is live all the same, and remembers when it is woken", () =>
    Effect.gen(function* () {
      const { aliveAre, app, counts, text } = yield* make({ sleepAfter: "200 millis" })
      const { cwd, id } = yield* app.open
      yield* text(id, "Remember the word xyzzy.")
      const turn = yield* Effect.forkChild(app.turn(id, "/wait"))
      yield* app.turns(id, 2)
      assert.deepStrictEqual(yield* counts, ["1 processes", "1 running"])
      assert.lengthOf(processesIn(cwd), 1)
      yield* app.request("POST", `/sessions/${id}/cancel`)
      yield* Fiber.join(turn)
      yield* aliveAre(0)
      yield* counts.pipe(
        eventually("the end of the process", (now) => !now.includes("1 processes")),
        Effect.map((now) => assert.deepStrictEqual(now, ["1 asleep"]))
      )
      assert.isTrue((yield* app.state(id)).live)
      const woken = yield* text(id, "Which word did I tell you?")
      assert.strictEqual(woken.turnIndex, 3)
      assert.include(woken.text, "xyzzy")
      yield* aliveAre(0)
      const closed = yield* app.request("DELETE", `/sessions/${id}`)
      assert.deepStrictEqual([closed.status, closed.text], [200, '{"ok":true}'])
    }).pipe(Effect.scoped)
  )

  it.live("one in the middle of a turn, and one that could not be brought back, keep theirs", () =>
    Effect.gen(function* () {
      const { aliveAre, app, text } = yield* make({ sleepAfter: "100 millis" })
      const idle = yield* app.open
      const busy = yield* app.open
      const opened = yield* app.request("POST", "/sessions", { body: { agent: "forgetful" } })
      const forgetful: string = JSON.parse(opened.text).session_id
      const turn = yield* Effect.forkChild(text(busy.id, "/wait"))
      yield* app.turns(busy.id, 1)
      yield* aliveAre(2)
      assert.deepStrictEqual(processesIn(idle.cwd), [])
      assert.lengthOf(processesIn(busy.cwd), 1)
      yield* app.request("POST", `/sessions/${busy.id}/cancel`)
      assert.strictEqual((yield* Fiber.join(turn)).text, "Waiting.")
      yield* aliveAre(1)
      assert.strictEqual((yield* text(forgetful, "ping")).text, "pong")
    }).pipe(Effect.scoped)
  )

  it.live("more sessions than processes: each turn gets one, and no more live than may", () =>
    Effect.gen(function* () {
      const { alive, app, text } = yield* make({ maxProcesses: 2, maxProcessWait: "5 minutes" })
      let most = 0
      const watch = yield* alive.pipe(
        Effect.tap((now) => Effect.sync(() => (most = Math.max(most, now)))),
        Effect.repeat(Schedule.spaced(5)),
        Effect.forkChild
      )
      const sessions = yield* Effect.forEach(
        [1, 2, 3, 4, 5, 6],
        (word) => Effect.tap(app.open, ({ id }) => text(id, `Remember the word word${word}.`)),
        { concurrency: "unbounded" }
      )
      const turns = yield* Effect.forEach(sessions, ({ id }) => text(id, "Which word did I tell you?"), {
        concurrency: "unbounded"
      })
      yield* Fiber.interrupt(watch)
      turns.forEach((turn, index) => assert.include(turn.text, `word${index + 1}`))
      assert.strictEqual(most, 2)
    }).pipe(Effect.scoped)
  )

  it.live("a turn, a session and a run that wait too long for a process are refused, and nothing is lost", () =>
    Effect.gen(function* () {
      const { app, text } = yield* make({ maxProcesses: 1, maxProcessWait: "4 seconds" })
      const asleep = yield* app.open
      yield* text(asleep.id, "Remember the word xyzzy.")
      const busy = yield* app.open
      const turn = yield* Effect.forkChild(app.turn(busy.id, "/wait"))
      yield* app.turns(busy.id, 1)
      const refused = yield* Effect.all(
        [
          app.turn(asleep.id, "Which word did I tell you?"),
          app.request("POST", "/sessions", { body: { agent: "demo" } }),
          app.request("POST", "/run", { body: { prompt: "/echo hi" } })
        ],
        { concurrency: 3 }
      )
      for (const { headers, status, text } of refused) {
        assert.deepStrictEqual([status, text], [503, '{"detail":"session pool is full"}'])
        assert.match(headers.get("retry-after") ?? "", /^\d+$/)
      }
      assert.strictEqual((yield* app.state(asleep.id)).turn_count, 1)
      yield* app.request("POST", `/sessions/${busy.id}/cancel`)
      yield* Fiber.join(turn)
      const woken = yield* text(asleep.id, "Which word did I tell you?")
      assert.strictEqual(woken.turnIndex, 2)
      assert.include(woken.text, "xyzzy")
      const run = yield* app.request("POST", "/run", { body: { prompt: "/echo hi" } })
      assert.include(run.text, '"result":"hi"')
    }).pipe(Effect.scoped)
  )

  it.live("a session is closed while it waits for its process, and while it falls asleep", () =>
    Effect.gen(function* () {
      const fs = yield* FileSystem.FileSystem
      const { app, counts, data } = yield* make({ maxProcesses: 1 })
      const asleep = yield* app.open
      const busy = yield* app.open
      const turn = yield* Effect.forkChild(app.turn(busy.id, "/wait"))
      yield* app.turns(busy.id, 1)
      const waiting = yield* Effect.forkChild(app.turn(asleep.id, "/echo never"))
      yield* counts.pipe(eventually("a turn that waits for a process", (now) => now.includes("1 waiting")))
      yield* app.request("DELETE", `/sessions/${asleep.id}`)
      assert.strictEqual((yield* Fiber.join(waiting)).status, 410)
      yield* app.request("DELETE", `/sessions/${busy.id}`)
      assert.strictEqual((yield* Fiber.join(turn)).status, 410)
      // The third puts the second to sleep in the moment in which that is closed.
      const second = yield* app.open
      yield* Effect.all([app.open, app.request("DELETE", `/sessions/${second.id}`)], { concurrency: 2 })
      yield* fs
        .readDirectory(`${data}/sessions`)
        .pipe(eventually("the removal of a working directory", (names) => names.length === 1))
    }).pipe(Effect.scoped, Effect.provide(NodeFileSystem.layer))
  )
})

describe.concurrent("a process that takes its time to end", () => {
  /** Two sessions whose processes are being put to sleep. */
  const fallingAsleep = Effect.gen(function* () {
    const { app, counts, text } = yield* make({ sleepAfter: "100 millis" })
    const open = Effect.map(app.request("POST", "/sessions", { body: { agent: "slow" } }), (answer) => {
      const { cwd, session_id: id }: { session_id: string; cwd: string } = JSON.parse(answer.text)
      return { id, cwd, pids: processesIn(cwd) }
    })
    const [woken, closed] = yield* Effect.all([open, open], { concurrency: 2 })
    yield* counts.pipe(eventually("two sessions asleep", (now) => now.includes("2 asleep")))
    return { app, text, woken, closed }
  })

  it.live("is gone before another one of its session starts, and before the folder of the session is removed", () =>
    Effect.gen(function* () {
      const fs = yield* FileSystem.FileSystem
      const { app, closed, text, woken } = yield* fallingAsleep
      assert.deepStrictEqual([woken.pids.length, closed.pids.length], [1, 1])
      const wake = Effect.gen(function* () {
        assert.strictEqual((yield* text(woken.id, "ping")).text, "pong")
        assert.isFalse(isAlive(Number(woken.pids[0])))
      })
      const close = Effect.gen(function* () {
        yield* app.request("DELETE", `/sessions/${closed.id}`)
        yield* fs.exists(closed.cwd).pipe(eventually("the removal of the working directory", (there) => !there))
        assert.isFalse(isAlive(Number(closed.pids[0])))
      })
      yield* Effect.all([wake, close], { concurrency: 2 })
    }).pipe(Effect.scoped, Effect.provide(NodeFileSystem.layer))
  )
})

describe.concurrent("POST /sessions/{id}/cancel", () => {
  it.live("ends the turn in flight with what it said, and touches neither the session nor the turns that wait", () =>
    Effect.gen(function* () {
      const { app, text } = yield* make({})
      const { cwd, id } = yield* app.open
      const cancel = Effect.map(app.request("POST", `/sessions/${id}/cancel`), (answer) => [answer.status, answer.text])
      assert.deepStrictEqual(yield* cancel, [200, '{"ok":true,"cancelled":false}'])
      const flying = yield* Effect.forkChild(app.turn(id, "/wait"))
      yield* app.turns(id, 1)
      const waiting = yield* Effect.forkChild(text(id, "/echo after"), { startImmediately: true })
      yield* Effect.sleep("100 millis")
      const pids = processesIn(cwd)
      assert.deepStrictEqual(yield* cancel, [200, '{"ok":true,"cancelled":true}'])
      const answer = yield* Fiber.join(flying)
      assert.strictEqual(answer.status, 200)
      assert.match(
        answer.text,
        /^\{"ok":true,"session_id":"[^"]+","turn_index":1,"events":\[\{"type":"text","content":"Waiting\."\}.*\],"stop_reason":"cancelled","duration_ms":\d+.*\}$/
      )
      assert.deepStrictEqual(yield* Fiber.join(waiting), { turnIndex: 2, stopReason: "end_turn", text: "after" })
      assert.deepStrictEqual(processesIn(cwd), pids)
      assert.deepStrictEqual(yield* cancel, [200, '{"ok":true,"cancelled":false}'])
    }).pipe(Effect.scoped)
  )

  it.live("ends a turn that waits for its process; its prompt reaches no agent", () =>
    Effect.gen(function* () {
      const { app, counts, text } = yield* make({ maxProcesses: 1 })
      const asleep = yield* app.open
      const busy = yield* app.open
      const turn = yield* Effect.forkChild(app.turn(busy.id, "/wait"))
      yield* app.turns(busy.id, 1)
      const waking = yield* Effect.forkChild(text(asleep.id, "Remember the word xyzzy."))
      yield* counts.pipe(
        eventually("a turn that waits for a process", (now) => now.includes("1 waiting")),
        Effect.map((now) => assert.deepStrictEqual(now, ["1 processes", "1 running", "1 waiting"]))
      )
      const cancel = yield* app.request("POST", `/sessions/${asleep.id}/cancel`)
      assert.strictEqual(cancel.text, '{"ok":true,"cancelled":true}')
      assert.deepStrictEqual(yield* Fiber.join(waking), { turnIndex: 1, stopReason: "cancelled", text: "" })
      yield* app.request("POST", `/sessions/${busy.id}/cancel`)
      yield* Fiber.join(turn)
      const next = yield* text(asleep.id, "Which word did I tell you?")
      assert.strictEqual(next.turnIndex, 2)
      assert.notInclude(next.text, "xyzzy")
    }).pipe(Effect.scoped)
  )

  it.live("of another app's session, and of none, is 404; of a closed one it is nothing", () =>
    Effect.gen(function* () {
      const { mint } = yield* serve()
      const [app, other] = [yield* mint("app"), yield* mint("other")]
      const { id } = yield* app.open
      const cancel = (of: typeof app, id: string) =>
        Effect.map(of.request("POST", `/sessions/${id}/cancel`), ({ status, text }) => [status, text])
      const notFound = [404, '{"detail":"session not found"}']
      assert.deepStrictEqual(yield* cancel(other, id), notFound)
      assert.deepStrictEqual(yield* cancel(app, "nope"), notFound)
      yield* app.request("DELETE", `/sessions/${id}`)
      assert.deepStrictEqual(yield* cancel(app, id), [200, '{"ok":true,"cancelled":false}'])
    }).pipe(Effect.scoped)
  )
})
