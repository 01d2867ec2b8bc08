/**
 * Retries of calls whose outcome is unknown, and that carry a key.
 */
import { assert, describe, it } from "@effect/vitest"
import { Duration, Effect, Fiber, Scheduler } from "effect"
import { ForgeError, TransportError } from "../../../src/index.ts"
import * as Retry from "../../../src/internal/exchange/Retry.ts"
import { health } from "../../support/Clients.ts"
import type * as Memory from "../../support/Memory.ts"
import { calls } from "../../support/Operations.ts"
import { within } from "./Within.ts"

describe("a call of unknown outcome under a key", () => {
  const asked = (features: (nth: number) => Memory.Answer | "reset") => {
    let probes = 0
    return within("run", ({ request }) => Effect.succeed(request === "GET /healthz" ? features(++probes) : "reset"))
  }
  const names = { json: health(["idempotency"]) }
  const namesNot = { json: health(["stream"]) }

  it.effect("is retried only after the server confirmed idempotency, each time", () =>
    Effect.gen(function* () {
      const { sent } = yield* asked((nth) => (nth <= 2 ? names : namesNot))
      assert.deepStrictEqual(
        sent.map(({ request }) => request),
        [
          "POST /run?usage=true",
          "GET /healthz",
          "POST /run?usage=true",
          "GET /healthz",
          "POST /run?usage=true",
          "GET /healthz"
        ]
      )
      assert.strictEqual(
        new Set(sent.filter(({ request }) => request === "POST /run?usage=true").map(({ key }) => key)).size,
        1
      )
    })
  )

  const without: ReadonlyArray<Memory.Answer> = [
    namesNot,
    { json: { ok: true, claude_present: true, claude_version: null } }
  ]
  it.effect("is not retried where the server answers without idempotency", () =>
    Effect.gen(function* () {
      for (const answer of without) {
        const { result, sent } = yield* asked(() => answer)
        assert.deepStrictEqual(
          sent.map(({ request }) => request),
          ["POST /run?usage=true", "GET /healthz"]
        )
        assert.strictEqual(result._tag === "Failure" && result.failure._tag, "TransportError")
      }
    })
  )

  it.effect("asks again where the server cannot be asked, as often as it may be retried", () =>
    Effect.gen(function* () {
      const emptyBody = {}
      for (const answer of ["reset", { status: 500 }, { status: 503 }, emptyBody] as const) {
        const { result, sent } = yield* asked(() => answer)
        assert.deepStrictEqual(
          sent.map(({ request }) => request),
          ["POST /run?usage=true", "GET /healthz", "GET /healthz", "GET /healthz"]
        )
        assert.deepInclude(result._tag === "Failure" ? result.failure : {}, {
          _tag: "TransportError",
          outcome: "unknown"
        })
      }
    })
  )

  const refusals: Readonly<Record<string, Memory.Answer>> = {
    "400 of a proxy": { status: 400 },
    "404 of a proxy": { status: 404 },
    "410 of a proxy": { status: 410 },
    "413 of a proxy": { status: 413 },
    "422 of a proxy": { status: 422 }
  }
  for (const [name, refusal] of Object.entries(refusals)) {
    it.effect(`stays unknown when its retry gets a ${name}, and is not sent again`, () =>
      Effect.gen(function* () {
        const { result, sent } = yield* within("turn", ({ request }, nth) =>
          Effect.succeed(request === "GET /healthz" ? names : nth === 1 ? "reset" : refusal)
        )
        assert.lengthOf(sent, 3)
        assert.deepInclude(result._tag === "Failure" ? result.failure : {}, { _tag: "ApiError", outcome: "unknown" })
      })
    )
  }

  it.effect("is refused as a whole where the server that remembers it refuses its retry", () =>
    Effect.gen(function* () {
      const { result } = yield* within("turn", ({ request }, nth) =>
        Effect.succeed(
          request === "GET /healthz"
            ? names
            : nth === 1
              ? "reset"
              : { status: 413, json: { detail: "request too large" } }
        )
      )
      assert.deepInclude(result._tag === "Failure" ? result.failure : {}, { status: 413, outcome: "refused" })
    })
  )

  it.effect("stays unknown when the token of its retry is refused", () =>
    Effect.gen(function* () {
      const { result } = yield* within("turn", ({ request }, nth) =>
        Effect.succeed(
          request === "GET /healthz" ? names : nth === 1 ? "reset" : { status: 401, json: { detail: "invalid token" } }
        )
      )
      assert.deepInclude(result._tag === "Failure" ? result.failure : {}, {
        _tag: "TransportError",
        outcome: "unknown"
      })
    })
  )

  it.effect("is reported as abandoned wherever it is interrupted after its first attempt", () =>
    Effect.gen(function* () {
      const reset = new TransportError({
        operation: "Session.turn",
        method: "POST",
        path: "/",
        requestId: undefined,
        message: "",
        outcome: "unknown",
        reason: new ForgeError.Reset({ code: undefined })
      })
      for (const operations of [3, 4, 5, 9]) {
        for (let yields = 0; yields < 100; yields++) {
          let reported = 0
          const call = Retry.run<never, TransportError>(
            {
              kind: "keyed",
              deadline: Duration.minutes(2),
              attempt: ({ retries }) => (retries === 0 ? Effect.fail(reset) : Effect.never),
              supportsIdempotency: Effect.succeed(true),
              onAbandoned: Effect.sync(() => {
                reported++
              })
            },
            Retry.bounds({ pause: 0 })
          )
          yield* Effect.gen(function* () {
            const fiber = yield* Effect.forkChild(call, { startImmediately: true })
            for (let nth = 0; nth < yields; nth++) yield* Effect.yieldNow
            yield* Fiber.interrupt(fiber)
          }).pipe(Effect.provideService(Scheduler.MaxOpsBeforeYield, operations))
          assert.strictEqual(reported, 1, `${operations} operations, ${yields} yields`)
        }
      }
    })
  )

  it.effect("survives a restart of its server: it is sent again under its key as soon as the server answers", () =>
    Effect.gen(function* () {
      const restarting: Memory.Script = ({ request }, nth) =>
        Effect.succeed(
          nth === 1 ? "reset" : nth < 5 ? "refused" : request === "GET /healthz" ? names : { json: calls["run"]?.good }
        )
      const { result, sent } = yield* within("run", restarting, { retry: { times: 6 } })
      assert.deepStrictEqual(
        sent.map(({ request }) => request),
        ["POST /run?usage=true", "GET /healthz", "GET /healthz", "GET /healthz", "GET /healthz", "POST /run?usage=true"]
      )
      assert.strictEqual(sent[0]?.key, sent.at(-1)?.key)
      assert.strictEqual(result._tag, "Success")
    })
  )

  const untaken: Record<string, Memory.Answer | "refused"> = {
    "refused for now": { status: 429 },
    "refused as a connection": "refused"
  }
  for (const [name, answer] of Object.entries(untaken)) {
    it.effect(`stays unknown when its retry is ${name}, and the server is asked before each further one`, () =>
      Effect.gen(function* () {
        let tries = 0
        const { result, sent } = yield* within("run", ({ request }, nth) =>
          Effect.succeed(request === "GET /healthz" ? (nth < 4 ? names : namesNot) : ++tries === 1 ? "reset" : answer)
        )
        assert.deepStrictEqual(
          sent.map(({ request }) => request),
          ["POST /run?usage=true", "GET /healthz", "POST /run?usage=true", "GET /healthz"]
        )
        assert.deepInclude(result._tag === "Failure" ? result.failure : {}, {
          _tag: "TransportError",
          outcome: "unknown"
        })
      })
    )
  }

  it.effect("stays unknown when its last retry is refused", () =>
    Effect.gen(function* () {
      let tries = 0
      const { result } = yield* within("run", ({ request }) =>
        Effect.succeed(request === "GET /healthz" ? names : ++tries === 1 ? "reset" : "refused")
      )
      assert.strictEqual(tries, 4)
      assert.deepInclude(result._tag === "Failure" ? result.failure : {}, {
        _tag: "TransportError",
        outcome: "unknown"
      })
    })
  )

  it.effect("has the outcome of its retry, if the server answers that", () =>
    Effect.gen(function* () {
      let tries = 0
      const { result } = yield* within("run", ({ request }) =>
        Effect.succeed(
          request === "GET /healthz"
            ? names
            : ++tries === 1
              ? "reset"
              : { status: 404, json: { detail: "file not found" } }
        )
      )
      assert.deepInclude(result._tag === "Failure" ? result.failure : {}, { _tag: "ApiError", outcome: "refused" })
    })
  )

  it.effect(
    "that a proxy cuts each minute is repeated until its own deadline, and by times only where it is refused at once",
    () =>
      Effect.gen(function* () {
        const proxied = (patience: Duration.Input, status: number) =>
          within("turn", ({ request }) =>
            request === "GET /healthz" ? Effect.succeed(names) : Effect.delay(Effect.succeed({ status }), patience)
          )
        const posts = ({ sent }: Effect.Success<ReturnType<typeof proxied>>) =>
          sent.filter(({ request }) => request !== "GET /healthz").length
        for (const status of [502, 504]) {
          // Two minutes for the turn, and half a minute more: after the third attempt it is over.
          const cut = yield* proxied("1 minute", status)
          assert.strictEqual(posts(cut), 3, String(status))
          assert.isAtLeast(cut.at.at(-1) ?? 0, 120_000)
          assert.deepInclude(cut.result._tag === "Failure" ? cut.result.failure : {}, { outcome: "unknown" })
          assert.strictEqual(posts(yield* proxied("20 seconds", status)), 8, String(status))
          assert.strictEqual(posts(yield* proxied(0, status)), 4, String(status))
        }
      })
  )
})
