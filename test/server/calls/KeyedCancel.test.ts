/**
 * Keyed calls that are cancelled: by their key, or because no client comes back for them.
 */
import * as NodeFileSystem from "@effect/platform-node/NodeFileSystem"
import { assert, it } from "@effect/vitest"
import { Effect, Fiber, FileSystem } from "effect"
import * as DemoAgent from "../../../src/agent/DemoAgent.ts"
import { misbehaving } from "../../agent/Support.ts"
import { type App, turnOf } from "../Support.ts"
import { make, Shared, stopsOf, turn } from "./Support.ts"
import { eventually } from "../../support/Eventually.ts"

/** A server that cancels a keyed call as soon as no request for it is open. */
const hasty = make({ keyedCallLinger: 0, agents: [DemoAgent.definition, misbehaving("ignore-cancel")] })

/** Cancels the turn of a key and no other, once the server knows it. */
const cancelKnown = (app: App, id: string, key: string) =>
  cancel(app, id, key).pipe(eventually("a turn to cancel", ({ text }) => text === cancelled(true)))

const cancel = (app: App, id: string, key: string) =>
  app.request("POST", `/sessions/${id}/cancel`, { headers: { "idempotency-key": key } })

const cancelled = (whether: boolean) => JSON.stringify({ ok: true, cancelled: whether })

it.layer(Shared.layer, { excludeTestServices: true, concurrent: true })("a keyed call", (it) => {
  it.effect("is cancelled when no client comes back, and is not executed again", () =>
    Effect.gen(function* () {
      const { app, data } = yield* hasty
      const { id } = yield* app.open
      const dropped = yield* Effect.forkChild(turn(app, id, "gone", { prompt: "/wait" }))
      yield* app.turns(id, 1)
      yield* Fiber.interrupt(dropped)
      assert.deepStrictEqual(yield* stopsOf(data, id, 1), ["cancelled"])
      const answer = yield* turn(app, id, "gone", { prompt: "/wait" })
      assert.deepStrictEqual(
        [answer.status, answer.text],
        [
          502,
          '{"ok":false,"error":"the call was cancelled: no client was waiting for its answer","stderr":"","duration_ms":0,"stop_reason":"cancelled"}'
        ]
      )
      assert.strictEqual((yield* app.state(id)).turn_count, 1)
    })
  )

  it.effect("is dropped by a cancel of its key while it waits: it never counts, and may be tried again", () =>
    Effect.gen(function* () {
      const { app } = yield* Shared
      const { id } = yield* app.open
      const flying = yield* Effect.forkChild(turn(app, id, "flying", { prompt: "/wait" }))
      yield* app.turns(id, 1)
      const waiting = yield* Effect.forkChild(turn(app, id, "waiting", { prompt: "/echo again" }))
      yield* cancelKnown(app, id, "waiting")
      const dropped = yield* Fiber.join(waiting)
      assert.deepStrictEqual(
        [dropped.status, dropped.text],
        [
          422,
          '{"detail":[{"loc":["header","idempotency-key"],"msg":"the turn of this key was cancelled before its agent got it","type":"value_error"}]}'
        ]
      )
      assert.strictEqual((yield* app.state(id)).turn_count, 1)
      assert.strictEqual((yield* cancel(app, id, "flying")).text, cancelled(true))
      assert.strictEqual((yield* turnOf(yield* Fiber.join(flying))).stopReason, "cancelled")
      const again = yield* turnOf(yield* turn(app, id, "waiting", { prompt: "/echo again" }))
      assert.deepStrictEqual([again.turnIndex, again.text], [2, "again"])
    })
  )

  it.effect("is cancelled by its key while it runs: its answer is kept, and waiting turns go on", () =>
    Effect.gen(function* () {
      const { app } = yield* Shared
      const { id } = yield* app.open
      const back = turn(app, id, "mine", { prompt: "/wait" })
      const flying = yield* Effect.forkChild(back)
      yield* app.turns(id, 1)
      const waiting = yield* Effect.forkChild(turn(app, id, "behind", { prompt: "/echo behind" }))
      assert.strictEqual((yield* cancel(app, id, "mine")).text, cancelled(true))
      const answer = yield* Fiber.join(flying)
      assert.strictEqual((yield* turnOf(answer)).stopReason, "cancelled")
      assert.strictEqual((yield* back).text, answer.text)
      assert.strictEqual((yield* turnOf(yield* Fiber.join(waiting))).text, "behind")
      assert.strictEqual((yield* app.state(id)).turn_count, 2)
    })
  )

  it.effect("is not affected by a cancel whose key is unknown, finished, malformed or another app's", () =>
    Effect.gen(function* () {
      const { app, mint } = yield* Shared
      const { id } = yield* app.open
      yield* turn(app, id, "over", { prompt: "/echo over" })
      const flying = yield* Effect.forkChild(turn(app, id, "flying", { prompt: "/wait" }))
      yield* app.turns(id, 2)
      for (const key of ["over", "unknown"]) {
        assert.strictEqual((yield* cancel(app, id, key)).text, cancelled(false), key)
      }
      const malformed = yield* cancel(app, id, "a b")
      assert.strictEqual(malformed.status, 422)
      assert.include(malformed.text, '"loc":["header","idempotency-key"]')
      const stranger = yield* mint("cancels")
      assert.strictEqual((yield* cancel(stranger, id, "flying")).status, 404)
      const theirs = yield* stranger.open
      assert.strictEqual((yield* cancel(stranger, theirs.id, "flying")).text, cancelled(false))
      assert.strictEqual((yield* cancel(app, id, "flying")).text, cancelled(true))
      assert.strictEqual((yield* turnOf(yield* Fiber.join(flying))).stopReason, "cancelled")
    })
  )

  it.effect("gives a repeat that comes while it is being cancelled the answer that is recorded", () =>
    Effect.gen(function* () {
      const fs = yield* FileSystem.FileSystem
      const { app } = yield* hasty
      const opened = yield* app.request("POST", "/sessions", { body: { agent: "odd" } })
      const { cwd, session_id: id }: { session_id: string; cwd: string } = JSON.parse(opened.text)
      const dropped = yield* Effect.forkChild(turn(app, id, "late", { prompt: "go" }))
      yield* app.turns(id, 1)
      yield* Fiber.interrupt(dropped)
      // The agent has got its cancel, ignores it, and is killed two seconds later.
      const asked = fs.exists(`${cwd}/asked`)
      yield* asked.pipe(eventually("an agent that was asked to stop", (there) => there))
      const back = turn(app, id, "late", { prompt: "go" })
      const answers = yield* Effect.all([back, back], { concurrency: 2 })
      for (const { status, text } of answers) {
        assert.strictEqual(status, 502, text)
        assert.include(text, "the call was cancelled: no client was waiting for its answer")
      }
    }).pipe(Effect.provide(NodeFileSystem.layer))
  )
})
