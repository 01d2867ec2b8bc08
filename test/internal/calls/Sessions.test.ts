import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import * as DemoAgent from "../../../src/agent/DemoAgent.ts"
import { ApiError, Forge } from "../../../src/index.ts"
import * as ForgeServer from "../../../src/server/ForgeServer.ts"
import { conversation } from "../../support/Conversation.ts"
import { layer } from "../../support/MemoryServer.ts"
import { wellBehaved } from "../../support/ScriptedServer.ts"

describe("the options of a session", () => {
  it.live("reach the agent of a server that supports session_options", () =>
    Effect.gen(function* () {
      const session = yield* Forge.session({
        agent: "demo",
        system: "Speak Latin.",
        systemMode: "replace",
        effort: "max"
      })
      assert.strictEqual((yield* session.turn("/system")).text, "Speak Latin.")
      assert.strictEqual((yield* session.turn("/settings")).text, "demo, max")
    }).pipe(Effect.scoped, Effect.provide(ForgeServer.layerEmbedded({ agents: [DemoAgent.definition] })))
  )

  it.effect("are refused for a server that would ignore them, and no session is opened", () =>
    Effect.gen(function* () {
      const failure = yield* Effect.flip(Forge.session({ system: "Speak Latin.", effort: "max" }))
      assert.isTrue(ApiError.is(422)(failure))
      assert.deepInclude(failure, {
        outcome: "not-sent",
        message: "system is not supported by this server; effort is not supported by this server"
      })
      yield* Forge.session({ model: "opus" })
      assert.deepStrictEqual(yield* conversation, ["GET /healthz", 'POST /sessions {"agent":"claude","model":"opus"}'])
    }).pipe(Effect.scoped, Effect.provide(layer(wellBehaved())))
  )
})
