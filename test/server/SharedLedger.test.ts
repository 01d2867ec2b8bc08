/**
 * A server whose ledger has rows of another server.
 */
import * as NodeFileSystem from "@effect/platform-node/NodeFileSystem"
import { assert, it } from "@effect/vitest"
import { Effect, FileSystem } from "effect"
import { DatabaseSync } from "node:sqlite"
import { post } from "./calls/Support.ts"
import { serve } from "./Support.ts"

it.live("what another server has under way is answered with 503, which is not final: a session, and a keyed call", () =>
  Effect.gen(function* () {
    const fs = yield* FileSystem.FileSystem
    const data = yield* fs.makeTempDirectoryScoped()
    const first = yield* serve({ data })
    const app = yield* first.mint("app")
    const { id } = yield* app.open
    const body = { prompt: "/echo hi" }
    yield* post(app, "/run", "k", body)
    yield* first.stop
    const ledger = new DatabaseSync(`${data}/ledger.db`)
    ledger.exec("UPDATE sessions SET owner = 'theirs'")
    ledger.exec("UPDATE kept_answers SET owner = 'theirs', status = NULL, body = NULL")
    ledger.close()

    const second = yield* serve({ data })
    const here = second.adopt(app.token)
    const turn = yield* here.turn(id, "/echo hi")
    assert.deepStrictEqual([turn.status, turn.text], [503, '{"detail":"the session belongs to another server"}'])
    assert.isTrue((yield* here.state(id)).live)
    const run = yield* post(here, "/run", "k", body)
    assert.deepStrictEqual([run.status, run.text], [503, '{"detail":"the call of this key runs at another server"}'])
    for (const { headers } of [turn, run]) assert.strictEqual(headers.get("retry-after"), "5")
    assert.strictEqual((yield* post(here, "/run", "k", { prompt: "/echo other" })).status, 422)
    yield* here.request("DELETE", `/sessions/${id}`)
    assert.strictEqual((yield* here.turn(id, "/echo hi")).status, 410)
  }).pipe(Effect.scoped, Effect.provide(NodeFileSystem.layer))
)
