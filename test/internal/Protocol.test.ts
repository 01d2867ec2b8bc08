import { assert, describe, it } from "@effect/vitest"
import { Effect, Fiber, Logger, Metric, References } from "effect"
import { TestClock } from "effect/testing"
import { Forge, Telemetry } from "../../src/index.ts"
import { health, layerClients } from "../support/Clients.ts"
import * as Memory from "../support/Memory.ts"
import { created } from "../support/ScriptedServer.ts"

/** Opens a session that the server answers after 60 milliseconds, and gives it up after 20. */
const abandon = Effect.fnUntraced(function* (answer: Memory.Answer | "reset" | "refused") {
  const warnings: Array<string> = []
  const logger = Logger.make(({ message }) => {
    warnings.push(String(message))
  })
  const { layer, sent } = Memory.make(({ request }) =>
    request === "POST /sessions"
      ? Effect.delay(Effect.succeed(answer), "60 millis")
      : Effect.succeed(request === "GET /healthz" ? { json: health() } : { json: { ok: true } })
  )
  return yield* Effect.gen(function* () {
    const fiber = yield* Effect.forkChild(Effect.scoped(Forge.session()), { startImmediately: true })
    yield* TestClock.adjust("20 millis")
    yield* Fiber.interrupt(fiber)
    yield* TestClock.adjust("1 hour")
    const failedCloses = yield* Metric.value(Telemetry.failedCloses)
    return { warnings, failedCloses: failedCloses.count, sent: sent.map(({ request }) => request) }
  }).pipe(
    Effect.provide(layerClients("http://forge")),
    Effect.provide(layer),
    Effect.provideService(References.CurrentLoggers, new Set([logger])),
    Effect.provideService(Metric.MetricRegistry, new Map())
  )
})

describe("an abandoned create", () => {
  const unknown: Readonly<Record<string, Memory.Answer | "reset">> = {
    "whose connection breaks": "reset",
    "that a proxy answers with 504": { status: 504 },
    "whose 200 is not JSON": { status: 200 }
  }
  for (const [name, answer] of Object.entries(unknown)) {
    it.effect(`${name} is logged and counted, since the session may exist`, () =>
      Effect.gen(function* () {
        const { failedCloses, warnings } = yield* abandon(answer)
        assert.lengthOf(warnings, 1)
        assert.match(warnings[0] ?? "", /^an abandoned session may have been created, and then stays open/)
        assert.strictEqual(failedCloses, 1)
      })
    )
  }

  const harmless: Readonly<Record<string, Memory.Answer | "refused">> = {
    "that the server refuses": { status: 422, json: { detail: [] } },
    "whose agent cannot start": { status: 502, json: { ok: false, error: "no agent", stderr: "" } },
    "that never reaches the server": "refused"
  }
  for (const [name, answer] of Object.entries(harmless)) {
    it.effect(`${name} leaves nothing behind, and nothing is reported`, () =>
      Effect.gen(function* () {
        const { failedCloses, warnings } = yield* abandon(answer)
        assert.deepStrictEqual([warnings, failedCloses], [[], 0])
      })
    )
  }

  for (const [name, answer] of Object.entries({
    "that succeeds": created(1),
    "whose answer cannot be decoded but names the session": { ok: true, session_id: "s-1", agent: 1 }
  })) {
    it.effect(`${name} is closed, and nothing is reported`, () =>
      Effect.gen(function* () {
        const { failedCloses, sent, warnings } = yield* abandon({ json: answer })
        assert.deepStrictEqual(sent, ["POST /sessions", "DELETE /sessions/s-1"])
        assert.deepStrictEqual([warnings, failedCloses], [[], 0])
      })
    )
  }
})
