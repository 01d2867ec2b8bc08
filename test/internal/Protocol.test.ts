import { assert, describe, it } from "@effect/vitest"
import { Effect, Fiber, Logger, Metric, References } from "effect"
import { TestClock } from "effect/testing"
import { Forge, type SessionInfo, Telemetry } from "../../src/index.ts"
import { health, layerClients } from "../support/Clients.ts"
import * as Memory from "../support/Memory.ts"
import { created } from "../support/ScriptedServer.ts"

/** Opens a session that the server answers after 60 milliseconds, and gives it up after 20. */
const abandon = Effect.fnUntraced(function* (
  answer: Memory.Answer | "reset" | "refused",
  {
    options,
    ...server
  }: {
    readonly options?: SessionInfo.SessionOptions
    readonly later?: Memory.Answer
    readonly health?: Effect.Effect<Memory.Answer | "reset">
  } = {}
) {
  const warnings: Array<string> = []
  const logger = Logger.make(({ message }) => {
    warnings.push(String(message))
  })
  let creates = 0
  const { layer, sent } = Memory.make(({ request }) => {
    if (request === "POST /sessions") {
      return Effect.delay(Effect.succeed(++creates > 1 ? (server.later ?? answer) : answer), "60 millis")
    }
    return request === "GET /healthz"
      ? (server.health ?? Effect.succeed({ json: health() }))
      : Effect.succeed({ json: { ok: true } })
  })
  return yield* Effect.gen(function* () {
    const fiber = yield* Effect.forkChild(Effect.scoped(Forge.session(options)), { startImmediately: true })
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
        assert.match(warnings[0] ?? "", /^a session without a handle may have been created, and then stays open/)
        assert.strictEqual(failedCloses, 1)
      })
    )
  }

  const afterReset: Readonly<Record<string, Memory.Answer>> = {
    "a page of a proxy": { status: 400 },
    "an unknown token": { status: 401, json: { detail: "invalid token" } }
  }
  for (const [name, later] of Object.entries(afterReset)) {
    it.effect(`whose retry after a reset gets ${name} is logged and counted all the same`, () =>
      Effect.gen(function* () {
        const remembers = Effect.succeed({ json: health(["idempotency"]) })
        const { failedCloses, warnings } = yield* abandon("reset", { later, health: remembers })
        assert.deepStrictEqual([warnings.length, failedCloses], [1, 1])
      })
    )
  }

  const questions: Readonly<Record<string, Effect.Effect<Memory.Answer | "reset">>> = {
    "is silent": Effect.never,
    "is answered late": Effect.delay(Effect.succeed({ json: health(["session_options"]) }), "50 millis"),
    breaks: Effect.delay(Effect.succeed("reset" as const), "50 millis")
  }
  for (const [name, answer] of Object.entries(questions)) {
    it.effect(`whose question about features ${name} is never sent, and nothing is reported`, () =>
      Effect.gen(function* () {
        const { failedCloses, sent, warnings } = yield* abandon("reset", { options: { system: "x" }, health: answer })
        assert.deepStrictEqual([sent, warnings, failedCloses], [["GET /healthz"], [], 0])
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
