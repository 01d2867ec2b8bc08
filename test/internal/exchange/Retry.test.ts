/**
 * The bounds of retries, by the test's clock.
 */
import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { TestClock } from "effect/testing"
import { ApiError } from "../../../src/index.ts"
import { health } from "../../support/Clients.ts"
import type * as Memory from "../../support/Memory.ts"
import { within } from "./Within.ts"

const reset: Memory.Script = () => Effect.succeed("reset")
const limited =
  (seconds: number | string): Memory.Script =>
  () =>
    Effect.succeed({ status: 429, headers: { "retry-after": String(seconds) } })

describe("the bounds of retries", () => {
  it.effect("there are three retries, after 200, 400 and 800 milliseconds", () =>
    Effect.gen(function* () {
      const { at } = yield* within("health", reset)
      assert.deepStrictEqual(at, [0, 200, 600, 1400])
    })
  )

  it.effect("pauses double up to the maximum of 5 seconds", () =>
    Effect.gen(function* () {
      const { at } = yield* within("health", reset, { retry: { times: 7 } })
      assert.deepStrictEqual(at, [0, 200, 600, 1400, 3000, 6200, 11_200, 16_200])
    })
  )

  it.effect("pauses are jittered upward only, by less than half, and never beyond the maximum", () =>
    Effect.gen(function* () {
      const { at } = yield* within("health", reset, { retry: { times: 7 }, jitter: 0.99999 })
      const pauses = at.slice(1).map((time, nth) => time - (at[nth] ?? 0))
      for (const [nth, least] of [200, 400, 800, 1600, 3200, 5000, 5000].entries()) {
        assert.isAtLeast(pauses[nth] ?? 0, least)
        assert.isAtMost(pauses[nth] ?? 0, Math.min(least * 1.5, 5000))
      }
      assert.isAbove(pauses[0] ?? 0, 290)
    })
  )

  it.effect("every bound can be set", () =>
    Effect.gen(function* () {
      const { at } = yield* within("health", reset, { retry: { times: 4, pause: "1 second", maxPause: "3 seconds" } })
      assert.deepStrictEqual(at, [0, 1000, 3000, 6000, 9000])
    })
  )

  it.effect("times: 0 and retry: false disable retries", () =>
    Effect.gen(function* () {
      for (const retry of [{ times: 0 }, false] as const) {
        const { at } = yield* within("health", reset, { retry })
        assert.deepStrictEqual(at, [0])
      }
    })
  )

  it.effect("there are no retries after the budget, a minute from the first failure", () =>
    Effect.gen(function* () {
      const { at } = yield* within("health", reset, { retry: { times: 1000 } })
      assert.strictEqual(at.length, 16)
      assert.isAtMost(at.at(-1) ?? Infinity, 60_000)
      const short = yield* within("health", reset, { retry: { times: 1000, budget: "1 second" } })
      assert.deepStrictEqual(short.at, [0, 200, 600])
    })
  )

  it.effect("the budget begins with the first failure, however long that took", () =>
    Effect.gen(function* () {
      const slow: Memory.Script = (_, nth) => (nth === 1 ? Effect.never : Effect.succeed({ json: health() }))
      const { at, result } = yield* within("list", slow, { retry: { budget: "1 second" } })
      assert.strictEqual(result._tag, "Failure")
      assert.deepStrictEqual(at, [0, 30_200])
    })
  )

  it.effect("the budget is not measured by the time of day, which may be set back", () =>
    Effect.gen(function* () {
      const back: Memory.Script = () => Effect.as(TestClock.setTime(-3_600_000), "reset")
      const { sent } = yield* within("health", back, { retry: { times: 1000, budget: "1 second" } })
      assert.isBelow(sent.length, 10)
    })
  )

  it.effect("asking whether keys are supported uses up the budget", () =>
    Effect.gen(function* () {
      const slowHealth: Memory.Script = ({ request }) =>
        request === "GET /healthz"
          ? Effect.delay(Effect.succeed({ json: health(["idempotency"]) }), "9 seconds")
          : Effect.succeed("reset")
      const { sent } = yield* within("run", slowHealth, { retry: { budget: "5 seconds" } })
      assert.deepStrictEqual(
        sent.map(({ request }) => request),
        ["POST /run?usage=true", "GET /healthz"]
      )
    })
  )
})

describe("Retry-After", () => {
  it.effect("is waited for, in seconds or until a date", () =>
    Effect.gen(function* () {
      for (const header of [7, "Thu, 01 Jan 1970 00:00:07 GMT"]) {
        const { at } = yield* within("run", limited(header), { retry: { times: 1 } })
        assert.deepStrictEqual(at, [0, 7000])
      }
    })
  )

  it.effect("may also come as Retry-After-Ms, which is more exact", () =>
    Effect.gen(function* () {
      const millis: Memory.Script = () =>
        Effect.succeed({ status: 429, headers: { "retry-after-ms": "1250.5", "retry-after": "2" } })
      const { at } = yield* within("run", millis, { retry: { times: 1 } })
      assert.deepStrictEqual(at, [0, 1250.5])
      const odd: Memory.Script = () =>
        Effect.succeed({ status: 429, headers: { "retry-after-ms": "soon", "retry-after": "2" } })
      assert.deepStrictEqual((yield* within("run", odd, { retry: { times: 1 } })).at, [0, 2000])
    })
  )

  it.effect("never shortens the client's own pause", () =>
    Effect.gen(function* () {
      for (const header of [0, "Thu, 01 Jan 1970 00:00:00 GMT"]) {
        const { at } = yield* within("run", limited(header), { retry: { times: 1, pause: "2 seconds" } })
        assert.deepStrictEqual(at, [0, 2000])
      }
    })
  )

  it.effect("that is not a time is ignored", () =>
    Effect.gen(function* () {
      for (const header of ["soon", "-5", "1.5", "", "7 seconds", "1e3"]) {
        const { at, result } = yield* within("run", limited(header), { retry: { times: 1 } })
        assert.deepStrictEqual(at, [0, 200], header)
        const error = result._tag === "Failure" ? result.failure : undefined
        assert.isTrue(ApiError.is(429)(error) && error.retryAfter === undefined, header)
      }
    })
  )

  it.effect("is obeyed up to the cap, and beyond it the call fails at once", () =>
    Effect.gen(function* () {
      const atCap = yield* within("run", limited(30), { retry: { times: 1 } })
      assert.deepStrictEqual(atCap.at, [0, 30_000])
      for (const header of [31, "9".repeat(400), "Thu, 01 Jan 1970 00:00:31 GMT"]) {
        const { at } = yield* within("run", limited(header), { retry: { times: 1 } })
        assert.deepStrictEqual(at, [0])
      }
      const set = yield* within("run", limited(50), { retry: { times: 1, maxRetryAfter: "50 seconds" } })
      assert.deepStrictEqual(set.at, [0, 50_000])
      const beyondBudget = yield* within("run", limited(50), {
        retry: { maxRetryAfter: "1 hour", budget: "49 seconds" }
      })
      assert.deepStrictEqual(beyondBudget.at, [0])
    })
  )
})

describe("a DELETE of unknown outcome", () => {
  const thenAlways = (name: string, answer: Memory.Answer | "refused") =>
    Effect.map(
      within(name, (_, nth) => Effect.succeed(nth === 1 ? "reset" : answer)),
      ({ result, sent }) => ({ tries: sent.length, error: result._tag === "Failure" ? result.failure : {} })
    )
  const gone = { status: 404, json: { detail: "token not found" } }

  it.effect("stays unknown when its retry finds nothing: the first try may have deleted it", () =>
    Effect.gen(function* () {
      for (const name of ["revoke", "close"]) {
        const { error, tries } = yield* thenAlways(name, gone)
        assert.deepInclude(error, { _tag: "ApiError", status: 404, outcome: "unknown" })
        assert.strictEqual(tries, 2)
      }
    })
  )

  it.effect("stays unknown when every retry is refused", () =>
    Effect.gen(function* () {
      for (const answer of ["refused", { status: 429 }] as const) {
        const { error, tries } = yield* thenAlways("close", answer)
        assert.deepInclude(error, { _tag: "TransportError", outcome: "unknown" })
        assert.strictEqual(tries, 4)
      }
    })
  )

  it.effect("while a GET has the outcome of its last try, since it changes nothing", () =>
    Effect.gen(function* () {
      const { error } = yield* thenAlways("state", "refused")
      assert.deepInclude(error, { _tag: "TransportError", outcome: "not-sent" })
      assert.deepInclude((yield* thenAlways("state", gone)).error, { status: 404, outcome: "refused" })
    })
  )
})

it.effect("a call that was refused, and then found no server, is refused as a whole", () =>
  Effect.gen(function* () {
    const script: Memory.Script = (_, nth) => Effect.succeed(nth === 1 ? { status: 429 } : "refused")
    const { result, sent } = yield* within("mint", script)
    assert.lengthOf(sent, 4)
    assert.deepInclude(result._tag === "Failure" ? result.failure : {}, { _tag: "TransportError", outcome: "refused" })
    assert.deepInclude(result._tag === "Failure" && "reason" in result.failure ? result.failure.reason : {}, {
      _tag: "Connect"
    })
  })
)
