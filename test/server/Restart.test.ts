/**
 * Restarts of a server on its data.
 */
import * as NodeFileSystem from "@effect/platform-node/NodeFileSystem"
import { assert, describe, it } from "@effect/vitest"
import { Effect, FileSystem, Layer } from "effect"
import { DatabaseSync } from "node:sqlite"
import * as DemoAgent from "../../src/agent/DemoAgent.ts"
import * as ForgeServer from "../../src/server/ForgeServer.ts"
import * as Recorder from "../support/Recorder.ts"
import { type App, openCallsIn, options, serve, turnOf } from "./Support.ts"

const full = "database or disk is full"

/** Makes a table read-only, as a full disk does. */
const fill = (table: string) =>
  `CREATE TRIGGER full_${table} BEFORE UPDATE ON ${table} BEGIN SELECT RAISE(ABORT, '${full}'); END`

/** Undoes all migrations but the first: each new one has to be undone here as well. */
const toFirstVersion = [
  "ALTER TABLE sessions DROP COLUMN mcp_servers",
  "ALTER TABLE sessions DROP COLUMN workspace",
  "ALTER TABLE sessions DROP COLUMN usage",
  "DROP INDEX sessions_open_by_app",
  "DROP INDEX sessions_by_closing",
  "DROP TABLE kept_frames",
  "ALTER TABLE kept_answers DROP COLUMN frames",
  "ALTER TABLE kept_answers DROP COLUMN newest_first",
  "ALTER TABLE kept_answers DROP COLUMN newest_text",
  "ALTER TABLE uploads DROP COLUMN media_type",
  "ALTER TABLE sessions DROP COLUMN owner",
  "ALTER TABLE kept_answers DROP COLUMN owner",
  "DELETE FROM effect_sql_migrations WHERE migration_id > 1"
]

describe("a server that restarts", () => {
  it.live("finds its sessions when its data folder was moved", () =>
    Effect.gen(function* () {
      const fs = yield* FileSystem.FileSystem
      const root = yield* fs.makeTempDirectoryScoped()
      const first = yield* serve({ data: `${root}/one` })
      const app = yield* first.mint("app")
      const { id } = yield* app.open
      yield* app.turn(id, "Remember the word xyzzy.")
      yield* first.stop
      yield* fs.rename(`${root}/one`, `${root}/two`)

      const second = yield* serve({ data: `${root}/two` })
      const again = second.adopt(app.token)
      const { text } = yield* Effect.flatMap(again.turn(id, "Which word did I tell you?"), turnOf)
      assert.include(text, "xyzzy")
      assert.include((yield* again.request("GET", `/sessions/${id}`)).text, `"cwd":"${root}/two/sessions/${id}"`)
    }).pipe(Effect.scoped, Effect.provide(NodeFileSystem.layer))
  )

  it.live("finds its sessions when the file with its id is lost, and warns of it", () =>
    Effect.gen(function* () {
      const fs = yield* FileSystem.FileSystem
      const data = yield* fs.makeTempDirectoryScoped()
      const first = yield* serve({ data })
      const app = yield* first.mint("app")
      const { id } = yield* app.open
      yield* first.stop
      const owner = yield* fs.readFileString(`${data}/owner`)
      yield* fs.remove(`${data}/owner`)

      const recorder = Recorder.make()
      const second = yield* Effect.provide(serve({ data }), recorder.layer)
      assert.include(recorder.logs.join("\n"), `the id of this server was taken over from its ledger`)
      assert.strictEqual(yield* fs.readFileString(`${data}/owner`), owner)
      assert.strictEqual((yield* second.adopt(app.token).turn(id, "/echo hi")).status, 200)
    }).pipe(Effect.scoped, Effect.provide(NodeFileSystem.layer))
  )

  it.live("does not start when the file with its id is lost and the ledger has sessions of several servers", () =>
    Effect.gen(function* () {
      const fs = yield* FileSystem.FileSystem
      const data = yield* fs.makeTempDirectoryScoped()
      const first = yield* serve({ data })
      const app = yield* first.mint("app")
      const { id } = yield* app.open
      yield* app.open
      yield* first.stop
      const ledger = new DatabaseSync(`${data}/ledger.db`)
      ledger.exec(`UPDATE sessions SET owner = 'theirs' WHERE session_id = '${id}'`)
      ledger.close()
      yield* fs.remove(`${data}/owner`)
      const { message } = yield* Effect.flip(serve({ data }))
      assert.strictEqual(
        message,
        `the id of this server in ${data}/owner cannot be used: the file is missing, and the ledger has open sessions of ` +
          "several servers: restore the file from a backup"
      )
      assert.isFalse(yield* fs.exists(`${data}/owner`))
    }).pipe(Effect.scoped, Effect.provide(NodeFileSystem.layer))
  )

  it.live("keeps a session whose agent is missing from its table, which works again once the agent is back", () =>
    Effect.gen(function* () {
      const fs = yield* FileSystem.FileSystem
      const data = yield* fs.makeTempDirectoryScoped()
      const both = [DemoAgent.definition, { ...DemoAgent.definition, name: "second" }]
      const openSecond = (app: App) =>
        Effect.map(
          app.request("POST", "/sessions", { body: { agent: "second" } }),
          ({ text }) => /"session_id":"([^"]+)"/.exec(text)?.[1] ?? ""
        )
      const first = yield* serve({ data, agents: both })
      const app = yield* first.mint("app")
      const [kept, closed] = [yield* openSecond(app), yield* openSecond(app)]
      yield* app.turn(kept, "Remember the word xyzzy.")
      yield* first.stop

      const second = yield* serve({ data })
      const without = second.adopt(app.token)
      for (const headers of [{}, { "idempotency-key": "k" }]) {
        const failed = yield* without.request("POST", `/sessions/${kept}/turn`, { body: { prompt: "x" }, headers })
        assert.strictEqual(failed.status, 502)
        assert.include(failed.text, `"error":"Agent second is not in the server's table of agents."`)
      }
      assert.deepStrictEqual(yield* without.state(kept), { turn_count: 1, closed_at: null, live: true })
      assert.include((yield* without.request("GET", "/sessions")).text, kept)
      const cancelled = yield* without.request("POST", `/sessions/${kept}/cancel`)
      assert.strictEqual(cancelled.text, '{"ok":true,"cancelled":false}')
      assert.strictEqual((yield* without.request("DELETE", `/sessions/${closed}`)).text, '{"ok":true}')
      yield* second.stop

      const third = yield* serve({ data, agents: both })
      const again = yield* Effect.flatMap(third.adopt(app.token).turn(kept, "Which word did I tell you?"), turnOf)
      assert.include(again.text, "xyzzy")
      assert.strictEqual(again.turnIndex, 2)
      const repeat = { body: { prompt: "x" }, headers: { "idempotency-key": "k" } }
      const repeated = yield* third.adopt(app.token).request("POST", `/sessions/${kept}/turn`, repeat)
      assert.strictEqual(repeated.status, 200, repeated.text)
    }).pipe(Effect.scoped, Effect.provide(NodeFileSystem.layer))
  )

  it.live("executes a repeat of a keyed call that failed before an agent had the work", () =>
    Effect.gen(function* () {
      const fs = yield* FileSystem.FileSystem
      const data = yield* fs.makeTempDirectoryScoped()
      const calls = [
        ["/sessions", { agent: "demo" }],
        ["/run", { prompt: "/echo hi" }]
      ] as const
      const statuses = (app: App) =>
        Effect.forEach(calls, ([path, body]) =>
          Effect.map(
            app.request("POST", path, { body, headers: { "idempotency-key": "k" } }),
            ({ status, text }) => `${path} ${status} ${/exited with code \d/.exec(text)?.[0] ?? ""}`
          )
        )
      const broken = { ...DemoAgent.definition, command: [process.execPath, "-e", "process.exit(7)"] as const }
      const first = yield* serve({ data, agents: [broken] })
      const app = yield* first.mint("app")
      assert.deepStrictEqual(yield* statuses(app), ["/sessions 502 exited with code 7", "/run 502 exited with code 7"])
      yield* first.stop
      const second = yield* serve({ data })
      assert.deepStrictEqual(yield* statuses(second.adopt(app.token)), ["/sessions 200 ", "/run 200 "])
    }).pipe(Effect.scoped, Effect.provide(NodeFileSystem.layer))
  )

  it.live("takes the sessions of a ledger without owners, and the calls that were cut short, as its own", () =>
    Effect.gen(function* () {
      const fs = yield* FileSystem.FileSystem
      const data = yield* fs.makeTempDirectoryScoped()
      const first = yield* serve({ data })
      const app = yield* first.mint("app")
      const { cwd, id } = yield* app.open
      yield* first.stop
      const database = new DatabaseSync(`${data}/ledger.db`)
      for (const statement of toFirstVersion) database.exec(statement)
      database.exec(`INSERT INTO kept_answers (app_id, path, key, request_sha256, at) VALUES (1, '/run', 'k', 'h', 0)`)
      database.close()
      yield* fs.remove(`${data}/owner`)

      const second = yield* serve({ data })
      assert.isTrue(yield* fs.exists(cwd))
      const turn = yield* Effect.flatMap(second.adopt(app.token).turn(id, "/echo here"), turnOf)
      assert.strictEqual(turn.text, "here")
      assert.strictEqual(openCallsIn(data), 0)
    }).pipe(Effect.scoped, Effect.provide(NodeFileSystem.layer))
  )

  it.live("reports in one sentence that it cannot record the end of what was cut short", () =>
    Effect.gen(function* () {
      const fs = yield* FileSystem.FileSystem
      const data = yield* fs.makeTempDirectoryScoped()
      const server = yield* serve({ data })
      yield* Effect.flatMap(server.mint("app"), ({ open }) => open)
      yield* server.stop
      const startAfter = Effect.fnUntraced(function* (...statements: ReadonlyArray<string>) {
        const database = new DatabaseSync(`${data}/ledger.db`)
        for (const statement of statements) database.exec(statement)
        database.close()
        const { _tag, message } = yield* Effect.flip(
          Effect.scoped(Layer.build(ForgeServer.layer({ ...options, data })))
        )
        assert.deepStrictEqual([_tag, message], ["StartFailed", `the ledger cannot be used: ${full}`])
      })
      yield* startAfter("UPDATE sessions SET in_turn = 1", fill("sessions"))
      const call = "INSERT INTO kept_answers (app_id, path, key, request_sha256, at) VALUES (1, '/p', 'k', 'h', 0)"
      yield* startAfter("DROP TRIGGER full_sessions", call, fill("kept_answers"))
    }).pipe(Effect.scoped, Effect.provide(NodeFileSystem.layer))
  )
})
