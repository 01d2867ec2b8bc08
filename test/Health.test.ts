import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { Forge } from "../src/index.ts"
import { conversation } from "./support/Conversation.ts"
import { layer } from "./support/MemoryServer.ts"

const health = { ok: true, claude_present: true, claude_version: "2.1.0" }

describe("seed: health", () => {
  it.effect("a server of v0.1 sends three fields; the others are undefined", () =>
    Effect.gen(function* () {
      assert.deepStrictEqual(yield* Forge.health, {
        ok: true,
        claudePresent: true,
        claudeVersion: "2.1.0",
        features: []
      })
      assert.deepStrictEqual(yield* conversation, ["GET /healthz"])
    }).pipe(Effect.provide(layer(() => ({ json: health }))))
  )

  it.effect("a server of v0.2 sends more fields, and ours its features; a version that is null is undefined", () =>
    Effect.gen(function* () {
      const more = { acpxPresent: true, openSessions: 3 }
      assert.deepStrictEqual(yield* Forge.health, {
        ok: true,
        claudePresent: true,
        ...more,
        features: ["stream", "cancel", "something new"]
      })
    }).pipe(
      Effect.provide(
        layer(() => ({
          json: {
            ...health,
            claude_version: null,
            acpx_present: true,
            acpx_version: null,
            open_sessions: 3,
            features: ["stream", "cancel", "something new"]
          }
        }))
      )
    )
  )
})
