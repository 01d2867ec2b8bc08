import { assert, describe, it } from "@effect/vitest"
import { Deferred, Effect, Exit, Fiber } from "effect"
import { Forge, ForgeError } from "../src/index.ts"
import { layer, ScriptedServer, turn, wellBehaved } from "./support/ScriptedServer.ts"

const deletes = ScriptedServer.useSync(({ received }) => received.filter(({ method }) => method === "DELETE").length)

describe("Session", () => {
  it.live("a session lasts as long as its scope, and its turns are answered", () =>
    Effect.gen(function* () {
      const text = yield* Effect.scoped(
        Effect.gen(function* () {
          const session = yield* Forge.session({ agent: "demo" })
          const answer = yield* session.turn("hello")
          assert.strictEqual(answer.index, 1)
          assert.strictEqual(yield* deletes, 0)
          return answer.text
        })
      )
      assert.strictEqual(text, "hello")
      const { received } = yield* ScriptedServer
      assert.deepStrictEqual(
        received.map(({ body, method, path }) => [method, path, body === "" ? undefined : JSON.parse(body)]),
        [
          ["POST", "/sessions", { agent: "demo" }],
          ["POST", "/sessions/s-1/turn", { prompt: "hello", timeout_secs: 120 }],
          ["DELETE", "/sessions/s-1", undefined]
        ]
      )
    }).pipe(Effect.provide(layer(wellBehaved())))
  )
})
