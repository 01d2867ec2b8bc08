/**
 * A server that is killed, together with its watchdog, and starts again on the same data.
 *
 * `CRASHES` is how often that is done, `SEED` decides when.
 */
import * as NodeServices from "@effect/platform-node/NodeServices"
import { assert, it } from "@effect/vitest"
import { Effect, Fiber, FileSystem, Random } from "effect"
import { readdirSync, readFileSync } from "node:fs"
import { DatabaseSync } from "node:sqlite"
import { awaitExit, isAlive } from "../agent/Support.ts"
import { childrenOf } from "../support/Processes.ts"
import * as ServerProcess from "./ServerProcess.ts"
import { type Answer, appOf, processesIn, turnOf } from "./Support.ts"
import { eventually } from "../support/Eventually.ts"

const crashes = Number(process.env["CRASHES"] ?? 4)
const seed = process.env["SEED"] ?? "1"

const sigkill = (pid: number): void => {
  try {
    process.kill(pid, "SIGKILL")
  } catch {
    // It was an agent that has just ended.
  }
}

/** A server, and how it is killed: the watchdog first, so that nothing is left to clean up. */
const start = Effect.fnUntraced(function* (data: string) {
  const server = yield* ServerProcess.start("Server", data)
  const agents = () => processesIn(data)
  return {
    ...server,
    agents,
    kill: Effect.suspend(() => {
      const children = childrenOf(server.pid)
      const agents = new Set(processesIn(data))
      for (const pid of children) if (!agents.has(String(pid))) sigkill(pid)
      sigkill(server.pid)
      return awaitExit([server.pid])
    })
  }
})

interface Row {
  readonly session_id: string
  readonly turn_count: number
  readonly in_turn: number
  readonly closed_at: number | null
  readonly creates: number
  readonly turns: number
  readonly closes: number
}

/** Each session of the ledger, with how many events of each kind it has. */
const ledgerOf = (data: string): ReadonlyArray<Row> => {
  const count = (kind: string) =>
    `(SELECT COUNT(*) FROM session_events e WHERE e.session_id = s.session_id AND kind = '${kind}')`
  const database = new DatabaseSync(`${data}/ledger.db`, { readOnly: true })
  const rows = database
    .prepare(
      `SELECT session_id, turn_count, in_turn, closed_at, ${count("create")} AS creates, ${count("turn")} AS turns,
        ${count("close")} AS closes FROM sessions s`
    )
    .all()
  database.close()
  // node:sqlite types every row alike; the query above names the columns of this one.
  return rows as unknown as ReadonlyArray<Row>
}

/** All that the agents of a session were asked, as the demo agent remembers it. */
const promptsIn = (cwd: string): ReadonlyArray<string> =>
  readdirSync(`${cwd}/.demo-agent`)
    .filter((name) => name.endsWith(".json"))
    .flatMap((name) => JSON.parse(readFileSync(`${cwd}/.demo-agent/${name}`, "utf8")).turns)
    .map(({ prompt }: { prompt: string }) => prompt)

/** An answer, if the server lived to give it. */
const lived = (request: Effect.Effect<Answer>) =>
  Effect.matchCause(request, { onFailure: () => undefined, onSuccess: (answer) => answer })

const openedOf = (answer: Answer | undefined): { readonly id: string; readonly cwd: string } | undefined => {
  if (answer?.status !== 200) return undefined
  const { cwd, session_id: id } = JSON.parse(answer.text)
  return { id, cwd }
}

it.live("nothing of an earlier life runs on: agents that ignore everything, and their descendants", () =>
  Effect.gen(function* () {
    const fs = yield* FileSystem.FileSystem
    const data = yield* fs.makeTempDirectoryScoped()
    const first = yield* start(data)
    const app = appOf(first.url, first.token)
    const opened = openedOf(yield* app.request("POST", "/sessions", { body: { agent: "stubborn" } }))
    const { text } = yield* Effect.flatMap(app.turn(opened?.id ?? "", "go"), turnOf)
    const strays: ReadonlyArray<number> = JSON.parse(text)
    yield* app.request("POST", "/sessions", { body: { agent: "last-words" } })
    const pids = [...first.agents().map(Number), ...strays]
    yield* first.kill
    assert.deepStrictEqual(pids.filter(isAlive), pids)

    const second = yield* start(data)
    assert.deepStrictEqual(pids.filter(isAlive), [])
    // Also what one of them wrote as it was ended.
    assert.deepStrictEqual(yield* fs.readDirectory(`${data}/runs`), [])
    const again = appOf(second.url, first.token)
    const pong = yield* Effect.flatMap(again.turn(opened?.id ?? "", "ping"), turnOf)
    assert.deepStrictEqual(pong, { turnIndex: 2, stopReason: "end_turn", text: "pong" })
    yield* again.request("DELETE", `/sessions/${opened?.id}`)
    // Only the server itself is on record then, and those before it are forgotten.
    const records = fs.readDirectory(`${data}/agents`)
    yield* records.pipe(eventually("the removal of the records", (names) => names.length === 1))
    yield* second.kill
    yield* start(data)
    assert.lengthOf(yield* records, 1)
  }).pipe(Effect.scoped, Effect.provide(NodeServices.layer))
)

it.live(
  `killed at ${crashes} moments: the ledger agrees with itself and with what was answered, sessions go on, no prompt came twice`,
  () =>
    Effect.gen(function* () {
      const fs = yield* FileSystem.FileSystem
      const data = yield* fs.makeTempDirectoryScoped()
      /** The answers that clients got, over all lives. */
      const open = new Map<string, string>()
      const closed = new Set<string>()
      const answered = new Map<string, number>()
      let token = ""
      let prompts = 0

      /** Some of each: turns, new sessions, a close; what is answered is noted. */
      const work = Effect.fnUntraced(function* (url: string) {
        const app = appOf(url, token)
        const turn = Effect.fnUntraced(function* (id: string) {
          const prompt = (yield* Random.nextBoolean) ? `/echo ${++prompts}` : `/chunks 5 20 ${++prompts}`
          const answer = yield* lived(app.turn(id, prompt))
          if (answer !== undefined) assert.strictEqual(answer.status, 200, answer.text)
          if (answer !== undefined) answered.set(id, (answered.get(id) ?? 0) + 1)
        })
        const create = Effect.gen(function* () {
          const opened = openedOf(yield* lived(app.request("POST", "/sessions", { body: { agent: "demo" } })))
          if (opened === undefined) return
          open.set(opened.id, opened.cwd)
          yield* turn(opened.id)
        })
        const close = Effect.fnUntraced(function* (id: string) {
          open.delete(id)
          const answer = yield* lived(app.request("DELETE", `/sessions/${id}`))
          if (answer !== undefined) closed.add(id)
        })
        const [oldest, ...others] = [...open.keys()]
        const left = others.length > 2 && oldest !== undefined ? [close(oldest)] : []
        yield* Effect.all([...left, ...others.map((id) => Effect.andThen(turn(id), turn(id))), create, create], {
          concurrency: "unbounded"
        })
      })

      const check = Effect.fnUntraced(function* (server: Effect.Success<ReturnType<typeof start>>) {
        assert.deepStrictEqual(server.agents(), [])
        const rows = ledgerOf(data)
        for (const row of rows) {
          const { closed_at, closes, creates, in_turn, turn_count, turns } = row
          assert.deepStrictEqual([creates, turns, in_turn], [1, turn_count, 0], JSON.stringify(row))
          assert.strictEqual(closes, closed_at === null ? 0 : 1)
        }
        const live = rows.filter(({ closed_at }) => closed_at === null).map(({ session_id }) => session_id)
        for (const id of open.keys()) assert.include(live, id)
        for (const id of closed) assert.notInclude(live, id)
        for (const [id, count] of answered) {
          assert.isAtLeast(rows.find(({ session_id }) => session_id === id)?.turn_count ?? 0, count)
        }
        assert.sameMembers(yield* fs.readDirectory(`${data}/sessions`), live)
        for (const cwd of open.values()) {
          const asked = promptsIn(cwd)
          assert.deepStrictEqual([...new Set(asked)], asked)
        }
      })

      for (let crash = 0; crash < crashes; crash++) {
        const server = yield* start(data)
        token ||= server.token
        yield* check(server)
        const working = yield* Effect.forkChild(work(server.url), { startImmediately: true })
        yield* Effect.sleep(yield* Random.nextIntBetween(0, 700))
        yield* server.kill
        yield* Fiber.join(working)
      }

      const server = yield* start(data)
      yield* check(server)
      const app = appOf(server.url, token)
      for (const [id, cwd] of open) {
        const before = promptsIn(cwd).length
        const { text } = yield* Effect.flatMap(app.turn(id, "How many turns have there been?"), turnOf)
        assert.strictEqual(promptsIn(cwd).length, before + 1, text)
      }
    }).pipe(Effect.scoped, Random.withSeed(seed), Effect.provide(NodeServices.layer)),
  240_000 + crashes * 10_000
)
