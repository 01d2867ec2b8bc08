/**
 * A database that cannot be used for a while: another process has locked it, or its tables are gone.
 */
import * as NodeFileSystem from "@effect/platform-node/NodeFileSystem"
import { assert, it } from "@effect/vitest"
import {
  Context,
  type Duration,
  Effect,
  Fiber,
  FileSystem,
  Layer,
  Logger,
  Redacted,
  References,
  Schedule
} from "effect"
import { existsSync } from "node:fs"
import { DatabaseSync } from "node:sqlite"
import { eventually } from "../support/Eventually.ts"
import { patience } from "../support/Patience.ts"
import { type Answer, type App, openStream, serve, turnOf } from "./Support.ts"

const outcomeUnknown =
  '{"ok":false,"error":"outcome unknown: the server failed during this call","stderr":"","duration_ms":0,"stop_reason":"error"}'
const storageUnavailable = '{"detail":"storage unavailable"}'
const adminToken = "the-admin-token-of-this-test-0123456789"

/** A server with room for one session, and its log. It waits for a lock no longer than given. */
const make = Effect.fnUntraced(function* (lockWait: Duration.Input) {
  const fs = yield* FileSystem.FileSystem
  const data = yield* fs.makeTempDirectoryScoped()
  const logged: Array<{ readonly message: unknown; readonly requestId: unknown }> = []
  const logger = Logger.make(({ fiber, message }) => {
    const { request_id: requestId } = fiber.getRef(References.CurrentLogAnnotations)
    logged.push({ message, requestId })
  })
  const server = yield* Effect.provide(
    serve({ data, lockWait, maxOpenSessions: 1, adminToken: Redacted.make(adminToken) }),
    Logger.layer([logger])
  )
  /** Locks the ledger until the scope closes, as soon as the server is not writing. */
  const lock = Effect.acquireRelease(
    Effect.sync(() => new DatabaseSync(`${data}/ledger.db`, { timeout: 0 })),
    (database) => Effect.sync(() => database.close())
  ).pipe(
    Effect.tap((database) =>
      Effect.try(() => database.exec("BEGIN IMMEDIATE")).pipe(
        Effect.retry(Schedule.spaced(5)),
        Effect.timeout(patience)
      )
    )
  )
  /** Takes a table away until the scope closes, so that it cannot be read either. */
  const without = (table: string) => {
    const rename = (from: string, to: string) =>
      Effect.sync(() => {
        const database = new DatabaseSync(`${data}/ledger.db`)
        database.exec(`ALTER TABLE ${from} RENAME TO ${to}`)
        database.close()
      })
    return Effect.acquireRelease(rename(table, "gone"), () => rename("gone", table))
  }
  const app = yield* server.mint("app")
  const removed = (folder: string) =>
    Effect.sync(() => existsSync(folder)).pipe(eventually(`the removal of ${folder}`, (exists) => !exists))
  return { app, admin: server.adopt(adminToken), lock, removed, without, logged }
}, Effect.provide(NodeFileSystem.layer))

/** As a form: `request` sends JSON. */
const upload = ({ token, url }: App, form: FormData): Effect.Effect<Answer> =>
  Effect.promise(async () => {
    const headers = { authorization: `Bearer ${token}` }
    const response = await fetch(`${url}/files`, { method: "POST", headers, body: form })
    return { status: response.status, headers: response.headers, text: await response.text() }
  })

class Shared extends Context.Service<Shared, Effect.Success<ReturnType<typeof make>>>()("test/LockedLedger") {
  static readonly layer = Layer.effect(Shared, make("100 millis"))
}

it.layer(Shared.layer, { excludeTestServices: true })("a database that cannot be used", (it) => {
  it.effect("a session that cannot be recorded is not opened, does not count, and is logged with its request", () =>
    Effect.gen(function* () {
      const { app, lock, logged } = yield* Shared
      const open = (requestId: string) =>
        app.request("POST", "/sessions", { body: { agent: "demo" }, headers: { "x-request-id": requestId } })
      const refused = yield* Effect.scoped(Effect.andThen(lock, open("locked")))
      assert.deepStrictEqual([refused.status, refused.text], [503, storageUnavailable])
      assert.strictEqual(refused.headers.get("retry-after"), "5")
      assert.deepStrictEqual(
        logged.filter(({ requestId }) => requestId === "locked").map(({ message }) => [message].flat()[0]),
        ["the storage is unavailable"]
      )
      const opened = yield* open("free")
      assert.strictEqual(opened.status, 200, opened.text)
      const id = /"session_id":"([^"]+)"/.exec(opened.text)?.[1]
      yield* app.request("DELETE", `/sessions/${id}`)
    })
  )

  it.effect("every call that cannot write before an agent has the work answers 503, and nothing was done", () =>
    Effect.gen(function* () {
      const { admin, app, lock } = yield* Shared
      const { id } = yield* app.open
      const form = new FormData()
      form.append("file", new Blob(["x"]), "a.txt")
      const key = { "idempotency-key": "locked" }
      const calls: Readonly<Record<string, Effect.Effect<Answer>>> = {
        turn: app.turn(id, "/echo hi"),
        "keyed turn": app.request("POST", `/sessions/${id}/turn`, { body: { prompt: "/echo hi" }, headers: key }),
        "streamed turn": app.request("POST", `/sessions/${id}/turn`, {
          body: { prompt: "/echo hi" },
          headers: { accept: "text/event-stream" }
        }),
        mint: admin.request("POST", "/admin/tokens", { body: { name: "late" } }),
        revoke: admin.request("DELETE", "/admin/tokens/app"),
        upload: upload(app, form)
      }
      const answers = yield* Effect.scoped(Effect.andThen(lock, Effect.all(calls)))
      for (const [name, { headers, status, text }] of Object.entries(answers)) {
        assert.deepStrictEqual([name, status, text], [name, 503, storageUnavailable])
        assert.strictEqual(headers.get("retry-after"), "5", name)
      }
      assert.strictEqual((yield* app.state(id)).turn_count, 0)
      const again = yield* app.request("POST", `/sessions/${id}/turn`, { body: { prompt: "/echo hi" }, headers: key })
      assert.strictEqual((yield* turnOf(again)).text, "hi")

      yield* app.request("DELETE", `/sessions/${id}`)
    })
  )

  it.effect("a session whose end cannot be written stays open, and can be used and closed as before", () =>
    Effect.gen(function* () {
      const { app, lock, removed } = yield* Shared
      const { cwd, id } = yield* app.open
      const closing = yield* Effect.scoped(Effect.andThen(lock, app.request("DELETE", `/sessions/${id}`)))
      assert.deepStrictEqual([closing.status, closing.text], [503, storageUnavailable])
      assert.isTrue((yield* app.state(id)).live)
      assert.strictEqual((yield* turnOf(yield* app.turn(id, "/echo hi"))).text, "hi")
      assert.isTrue(existsSync(cwd))
      assert.strictEqual((yield* app.request("DELETE", `/sessions/${id}`)).text, '{"ok":true}')
      yield* removed(cwd)
    })
  )

  it.effect("every call that cannot read answers 503", () =>
    Effect.gen(function* () {
      const { admin, app, without } = yield* Shared
      const ran = {
        body: { prompt: "/echo x" },
        headers: { accept: "text/event-stream", "idempotency-key": "ran" }
      }
      assert.strictEqual((yield* app.request("POST", "/run", ran)).status, 200)
      const reads: ReadonlyArray<readonly [table: string, call: Effect.Effect<Answer>]> = [
        ["tokens", app.request("GET", "/sessions")],
        ["tokens", admin.request("GET", "/admin/tokens")],
        ["sessions", app.request("GET", "/sessions")],
        ["sessions", app.request("GET", "/sessions/any")],
        ["sessions", app.request("POST", "/sessions/any/cancel")],
        ["uploads", app.request("POST", "/run", { body: { prompt: "x", files: ["ff_0123456789abcdef"] } })],
        [
          "kept_answers",
          app.request("POST", "/run", { body: { prompt: "x" }, headers: { "idempotency-key": "unread" } })
        ],
        ["kept_frames", app.request("POST", "/run", ran)]
      ]
      for (const [table, call] of reads) {
        const { headers, status, text } = yield* Effect.scoped(Effect.andThen(without(table), call))
        assert.deepStrictEqual([table, status, text], [table, 503, storageUnavailable])
        assert.strictEqual(headers.get("retry-after"), "5", table)
      }
    })
  )

  it.effect("a token is revoked also where what its app has left cannot be removed yet", () =>
    Effect.gen(function* () {
      const { admin, without } = yield* Shared
      yield* admin.request("POST", "/admin/tokens", { body: { name: "gone" } })
      const revoke = admin.request("DELETE", "/admin/tokens/gone")
      const { status, text } = yield* Effect.scoped(Effect.andThen(without("uploads"), revoke))
      assert.deepStrictEqual([status, text], [200, '{"ok":true}'])
    })
  )

  it.effect("the outcome of a run whose row cannot be written is unknown, since its agent has acted", () =>
    Effect.gen(function* () {
      const { app, without } = yield* Shared
      const run = app.request("POST", "/run", { body: { prompt: "/echo hi" } })
      const { status, text } = yield* Effect.scoped(Effect.andThen(without("runs"), run))
      assert.deepStrictEqual([status, text], [502, outcomeUnknown])
    })
  )

  it.effect("a turn whose end cannot be written is a 502 in its event stream too, and is logged with its request", () =>
    Effect.gen(function* () {
      const { app, lock, logged } = yield* Shared
      const { id } = yield* app.open
      const turn = (headers: Readonly<Record<string, string>>) =>
        openStream(app, `/sessions/${id}/turn`, { body: { prompt: "/wait" }, headers })
      const frame = `event: error\ndata: {"status":502,"body":${outcomeUnknown}}\n\n`
      for (const headers of [{ "x-request-id": "bare" }, { "x-request-id": "keyed", "idempotency-key": "k" }]) {
        const answer = yield* turn(headers)
        assert.include(yield* answer.next, "Waiting.")
        const rest = yield* Effect.scoped(
          Effect.andThen(lock, Effect.andThen(app.request("POST", `/sessions/${id}/cancel`), answer.rest))
        )
        assert.isTrue(rest.endsWith(frame), rest)
        const lines = logged.filter(({ requestId }) => requestId === headers["x-request-id"])
        assert.include(
          lines.map(({ message }) => [message].flat()[0]),
          "the storage is unavailable"
        )
      }
      // Its key agrees, while the database is locked and afterwards.
      const repeat = app.request("POST", `/sessions/${id}/turn`, {
        body: { prompt: "/wait" },
        headers: { "idempotency-key": "k" }
      })
      for (const repeated of [yield* Effect.scoped(Effect.andThen(lock, repeat)), yield* repeat]) {
        assert.deepStrictEqual([repeated.status, repeated.text], [502, outcomeUnknown])
      }
    })
  )
})

it.live("a turn and a close that find the database locked for two seconds are answered as if it were not", () =>
  Effect.gen(function* () {
    const { app, lock } = yield* make("10 seconds")
    const { id } = yield* app.open
    const wait = { body: { prompt: "/wait" }, headers: { "idempotency-key": "patient" } }
    const turn = yield* Effect.forkChild(app.request("POST", `/sessions/${id}/turn`, wait))
    yield* app.turns(id, 1)
    const cancel = yield* Effect.scoped(
      Effect.gen(function* () {
        yield* lock
        const cancel = yield* Effect.forkChild(app.request("POST", `/sessions/${id}/cancel`))
        // Each check waits for a second, in which the turn has ended, and the server answers what only reads.
        for (let second = 1; second <= 2; second++) {
          const ready = yield* app.request("GET", "/readyz")
          assert.deepStrictEqual([ready.status, ready.text], [503, '{"detail":"the ledger cannot be written"}'])
          assert.isTrue((yield* app.state(id)).live)
        }
        return cancel
      })
    )
    assert.strictEqual((yield* Fiber.join(cancel)).text, '{"ok":true,"cancelled":true}')
    const answer = yield* Fiber.join(turn)
    assert.strictEqual(answer.status, 200, answer.text)
    assert.strictEqual((yield* turnOf(answer)).text, "Waiting.")
    assert.strictEqual((yield* app.request("POST", `/sessions/${id}/turn`, wait)).text, answer.text)

    const close = app.request("DELETE", `/sessions/${id}`)
    const closing = yield* Effect.scoped(
      Effect.andThen(lock, Effect.tap(Effect.forkChild(close), app.request("GET", "/readyz")))
    )
    assert.strictEqual((yield* Fiber.join(closing)).text, '{"ok":true}')
  }).pipe(Effect.scoped)
)
