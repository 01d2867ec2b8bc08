/**
 * A ledger that cannot be written for a while, because another process has it.
 */
import * as NodeFileSystem from "@effect/platform-node/NodeFileSystem"
import { assert, it } from "@effect/vitest"
import { Context, Effect, FileSystem, Layer, Logger, References, Schedule } from "effect"
import { DatabaseSync } from "node:sqlite"
import { patience } from "../support/Patience.ts"
import { openStream, serve } from "./Support.ts"

const serverError = '{"detail":"Internal Server Error"}'

/** A server with room for one session, and its log. */
const make = Effect.gen(function* () {
  const fs = yield* FileSystem.FileSystem
  const data = yield* fs.makeTempDirectoryScoped()
  const logged: Array<{ readonly message: unknown; readonly requestId: unknown }> = []
  const logger = Logger.make(({ fiber, message }) => {
    const { request_id: requestId } = fiber.getRef(References.CurrentLogAnnotations)
    logged.push({ message, requestId })
  })
  const server = yield* Effect.provide(serve({ data, maxOpenSessions: 1 }), Logger.layer([logger]))
  /** Locks the ledger until the scope closes, as soon as no write of the server is in progress. */
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
  return { app: yield* server.mint("app"), lock, logged }
}).pipe(Effect.provide(NodeFileSystem.layer))

class Shared extends Context.Service<Shared, Effect.Success<typeof make>>()("test/LockedLedger") {
  static readonly layer = Layer.effect(Shared, make)
}

it.layer(Shared.layer, { excludeTestServices: true })("a ledger that cannot be written", (it) => {
  it.effect("takes no slot: a session that could not be opened is gone, and the log has the id of its request", () =>
    Effect.gen(function* () {
      const { app, lock, logged } = yield* Shared
      const open = (requestId: string) =>
        app.request("POST", "/sessions", { body: { agent: "demo" }, headers: { "x-request-id": requestId } })
      const refused = yield* Effect.scoped(Effect.andThen(lock, open("locked")))
      assert.deepStrictEqual([refused.status, refused.text], [500, serverError])
      assert.deepStrictEqual(
        logged.filter(({ requestId }) => requestId === "locked").map(({ message }) => [message].flat()[0]),
        ["a call failed"]
      )
      const opened = yield* open("free")
      assert.strictEqual(opened.status, 200, opened.text)
      const id = /"session_id":"([^"]+)"/.exec(opened.text)?.[1]
      yield* app.request("DELETE", `/sessions/${id}`)
    })
  )

  it.effect("ends an event stream with the answer that the turn would have had, and is logged", () =>
    Effect.gen(function* () {
      const { app, lock, logged } = yield* Shared
      const { id } = yield* app.open
      const turn = (headers: Readonly<Record<string, string>>) =>
        openStream(app, `/sessions/${id}/turn`, { body: { prompt: "/wait" }, headers })
      const frame = `event: error\ndata: {"status":500,"body":${serverError}}\n\n`
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
          "a call failed"
        )
      }
      // The record of a call can still be read.
      const repeat = Effect.flatMap(turn({ "idempotency-key": "k" }), ({ rest }) => rest)
      const repeated = yield* Effect.scoped(Effect.andThen(lock, repeat))
      assert.include(repeated, "outcome unknown: the server failed during this call")
    })
  )
})
