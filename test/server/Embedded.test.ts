import * as NodeFileSystem from "@effect/platform-node/NodeFileSystem"
import { assert, describe, it } from "@effect/vitest"
import { Context, Effect, Exit, Fiber, FileSystem, Layer, Redacted, Scope } from "effect"
import { existsSync, readdirSync } from "node:fs"
import * as DemoAgent from "../../src/agent/DemoAgent.ts"
import * as Forge from "../../src/Forge.ts"
import * as ForgeAdmin from "../../src/ForgeAdmin.ts"
import * as ForgeClient from "../../src/ForgeClient.ts"
import * as ForgeServer from "../../src/server/ForgeServer.ts"
import * as Calls from "../support/Calls.ts"
import { openCallsIn, processesIn } from "./Support.ts"
import { eventually } from "../support/Eventually.ts"

const embedded = ForgeServer.layerEmbedded({ agents: [DemoAgent.definition] })

const adminToken = Redacted.make("an-admin-token-of-the-embedded-server")

/** The same server, with calls whose sessions no scope closes. */
const withCalls = Layer.unwrap(
  Effect.map(
    Effect.flatMap(ForgeAdmin.make({ token: adminToken }), (admin) => admin.mint("calls")),
    ({ token }) => Layer.merge(ForgeClient.layer({ token }), Calls.layer({ token }))
  )
).pipe(Layer.provide(ForgeServer.layerHttpClient({ agents: [DemoAgent.definition], adminToken })))

describe("ForgeServer.layerEmbedded", () => {
  it.live("is a client of a whole server, which leaves nothing behind", () =>
    Effect.gen(function* () {
      const scope = yield* Scope.make()
      const context = yield* Layer.buildWithScope(withCalls, scope)
      const cwd = yield* Effect.gen(function* () {
        const session = yield* Forge.session({ agent: "demo" })
        yield* session.turn("Remember the word xyzzy.")
        const turn = yield* session.turn("Which word did I tell you?")
        assert.include(turn.text, "xyzzy")
        const { cwd } = yield* session.state
        assert.lengthOf(processesIn(cwd), 1)
        return cwd
      }).pipe(Effect.scoped, Effect.provideContext(context))
      // Another session stays open until the server closes.
      yield* Context.get(context, Calls.Calls).create({ agent: "demo" })
      yield* Scope.close(scope, Exit.void)
      const folder = cwd.slice(0, cwd.indexOf("/sessions/"))
      assert.isFalse(existsSync(folder))
      assert.deepStrictEqual(processesIn(folder), [])
    })
  )

  it.live("cancels an interrupted turn, and the session goes on", () =>
    Effect.gen(function* () {
      const session = yield* Forge.session({ agent: "demo" })
      const turn = yield* Effect.forkChild(session.turn("/wait"))
      yield* session.state.pipe(eventually("a turn", ({ turnCount }) => turnCount === 1))
      yield* Fiber.interrupt(turn)
      assert.strictEqual((yield* session.turn("/echo next")).text, "next")
    }).pipe(Effect.scoped, Effect.provide(embedded))
  )

  it.live("drops a turn that is interrupted while it waits for another handle's, which goes on", () =>
    Effect.gen(function* () {
      const fs = yield* FileSystem.FileSystem
      const data = yield* fs.makeTempDirectoryScoped()
      /** Waits until so many calls are running. */
      const running = (count: number) =>
        Effect.sync(() => openCallsIn(data)).pipe(eventually(`${count} calls under way`, (calls) => calls === count))
      yield* Effect.gen(function* () {
        const owner = yield* Forge.session({ agent: "demo" })
        const other = yield* Forge.attach(owner.id)
        const first = yield* Effect.forkChild(owner.turn("/wait"))
        yield* owner.state.pipe(eventually("a turn", ({ turnCount }) => turnCount === 1))
        const second = yield* Effect.forkChild(other.turn("/wait"))
        yield* running(2)
        yield* Fiber.interrupt(second)
        yield* running(1)
        assert.isUndefined(first.pollUnsafe())
        assert.isTrue(yield* owner.cancel)
        assert.strictEqual((yield* Fiber.join(first)).stopReason, "cancelled")
        const { index, text } = yield* other.turn("/echo next")
        assert.deepStrictEqual([index, text], [2, "next"])
      }).pipe(
        Effect.scoped,
        Effect.provide(ForgeServer.layerEmbedded({ agents: [DemoAgent.definition], data }), { local: true })
      )
    }).pipe(Effect.scoped, Effect.provide(NodeFileSystem.layer))
  )

  it.live("cancels turns in flight when it closes, and fails later requests", () =>
    Effect.gen(function* () {
      const scope = yield* Scope.make()
      const context = yield* Layer.buildWithScope(withCalls, scope)
      yield* Effect.gen(function* () {
        const { id } = yield* Calls.Calls.use((calls) => calls.create({ agent: "demo" }))
        const session = yield* Forge.attach(id)
        const { cwd } = yield* session.state
        const turn = yield* Effect.forkChild(session.turn("/wait"))
        const run = yield* Effect.forkChild(Effect.flip(Forge.run("/wait")))
        const folder = cwd.slice(0, cwd.indexOf("/sessions/"))
        yield* Effect.sync(() =>
          readdirSync(`${folder}/runs`).flatMap((run) => processesIn(`${folder}/runs/${run}`))
        ).pipe(eventually("an agent at work", (pids) => pids.length === 1))
        yield* session.state.pipe(eventually("a turn", ({ turnCount }) => turnCount === 1))
        yield* Scope.close(scope, Exit.void)
        const { stopReason, text } = yield* Fiber.join(turn)
        assert.deepStrictEqual([stopReason, text], ["cancelled", "Waiting."])
        assert.include((yield* Fiber.join(run)).message, "The server is ending: the run was cancelled.")
        assert.deepStrictEqual(processesIn(folder), [])
        const later = yield* Effect.flip(session.turn("/echo later"))
        assert.strictEqual(later._tag, "TransportError")
      }).pipe(Effect.scoped, Effect.provideContext(context))
    })
  )

  it.live("is the same app each time on the same data folder", () =>
    Effect.gen(function* () {
      const fs = yield* FileSystem.FileSystem
      const data = yield* fs.makeTempDirectoryScoped()
      const again = Effect.provide(ForgeServer.layerEmbedded({ agents: [DemoAgent.definition], data }), { local: true })
      yield* again(Effect.scoped(Forge.session({ agent: "demo" })))
      assert.lengthOf(yield* again(Forge.sessions()), 1)
    }).pipe(Effect.scoped, Effect.provide(NodeFileSystem.layer))
  )

  it.live("reports a refusal of the server as the client's error", () =>
    Effect.gen(function* () {
      const error = yield* Effect.flip(Effect.scoped(Forge.session({ agent: "nosuch" })))
      assert.strictEqual(error._tag, "ApiError")
      assert.include(error.message, "no agent of this name")
    }).pipe(Effect.provide(embedded))
  )
})
