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
        acpxPresent: undefined,
        acpxVersion: undefined,
        openSessions: undefined,
        features: []
      })
      assert.deepStrictEqual(yield* conversation, ["GET /healthz"])
    }).pipe(Effect.provide(layer(() => ({ json: health }))))
  )

  it.effect("a server of v0.2 sends more fields, and ours its features", () =>
    Effect.gen(function* () {
      const more = { acpxPresent: true, acpxVersion: null, openSessions: 3 }
      assert.deepStrictEqual(yield* Forge.health, {
        ok: true,
        claudePresent: true,
        claudeVersion: null,
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
