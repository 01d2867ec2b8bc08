/**
 * Random histories of failures: whatever happens, an agent is given a turn once, and the error says whether it may have been.
 */
import { assert } from "@effect/vitest"
import { Effect, Fiber, Random } from "effect"
import { TestClock } from "effect/testing"
import type { SessionInfo } from "../../src/index.ts"
import { health, layerClients } from "./Clients.ts"
import { Calls } from "./Calls.ts"
import * as Memory from "./Memory.ts"
import { turn } from "./ScriptedServer.ts"

export const seed = process.env["FORGE_TEST_SEED"] ?? String(process.hrtime.bigint())

type Happening = Memory.Answer | "reset" | "refused" | "silence"

const oneOf = (happenings: ReadonlyArray<Happening>) => Effect.orDie(Random.choice(happenings))

/** What a server or a proxy can say once the agent has been given the turn. */
const afterActing: ReadonlyArray<Happening> = [
  { json: turn("s-1", 1, "done") },
  "reset",
  "silence",
  { status: 502, json: { ok: false, error: "the agent died", stderr: "", duration_ms: 1, stop_reason: "error" } },
  { status: 502, json: { detail: "bad gateway" } },
  { status: 503, json: { detail: "upstream connection pool is full" } },
  { status: 503, json: { detail: "too many requests in runs" } },
  { status: 503, headers: { "retry-after": "1" } },
  { status: 504 },
  { status: 500, json: { detail: "oops" } },
  { status: 408 },
  { status: 200, json: { ok: false } },
  { status: 200 },
  { status: 302, headers: { location: "/elsewhere" } }
]

/** What can happen to a request that is not taken. */
const untaken: ReadonlyArray<Happening> = [
  "reset",
  "refused",
  "silence",
  { status: 429 },
  { status: 429, headers: { "retry-after": "2" } },
  { status: 503, json: { detail: "session pool is full" } },
  { status: 503, json: { detail: "shutting down" }, headers: { "retry-after": "1" } },
  { status: 503 }
]

/** What can also be said of a turn that was not given to the agent before. */
const beforeActing: ReadonlyArray<Happening> = [
  ...untaken,
  { status: 404, json: { detail: "file not found" } },
  { status: 422, json: { detail: [] } },
  { status: 410, json: { detail: "session is closed" } },
  { status: 401, json: { detail: "invalid token" } }
]

/** A server that acts or does not, and then fails in any way; one that remembers keys gives each to its agent once. */
const server = (remembers: boolean) => {
  const given = new Map<string, number>()
  const arrived = new Map<string, number>()
  const count = (counts: Map<string, number>, one: string) => counts.set(one, (counts.get(one) ?? 0) + 1)
  const remembered = new Set<string>()
  const script: Memory.Script = Effect.fnUntraced(function* ({ key = "", request }) {
    // It does not always say so, and cannot always be asked.
    if (request === "GET /healthz") {
      const named = remembers && (yield* Random.next) < 0.8
      return (yield* Random.next) < 0.1 ? "reset" : { json: health(named ? ["stream", "idempotency"] : ["stream"]) }
    }
    count(arrived, request)
    const acts = yield* Random.nextBoolean
    if (acts && !remembered.has(key)) {
      count(given, request)
      if (remembers) remembered.add(key)
    }
    const answer = yield* oneOf(acts ? afterActing : remembered.has(key) ? untaken : beforeActing)
    return answer === "silence" ? yield* Effect.never : answer
  })
  return { script, given, arrived }
}

/** Plays so many histories at once against one server, and checks each of them. */
export const play = (remembers: boolean, histories: number) => {
  const { arrived, given, script } = server(remembers)
  const turns = Effect.forEach(
    Array.from({ length: histories }, (_, nth) => `s-${nth}` as SessionInfo.SessionId),
    (id) => Effect.result(Calls.use((calls) => calls.turn(id, "hello"))),
    { concurrency: "unbounded" }
  )
  return Effect.gen(function* () {
    const fiber = yield* Effect.forkChild(turns, { startImmediately: true })
    yield* TestClock.adjust("1 hour")
    const results = yield* Fiber.join(fiber)
    const twice = [...given].filter(([, times]) => times > 1)
    assert.deepStrictEqual(twice, [], `seed ${seed}`)
    for (const [nth, result] of results.entries()) {
      const times = given.get(`POST /sessions/s-${nth}/turn`) ?? 0
      const outcome =
        result._tag === "Success" ? "acted" : "outcome" in result.failure ? result.failure.outcome : undefined
      if (outcome === "acted") assert.strictEqual(times, 1, `seed ${seed}, turn ${nth}`)
      if (outcome === "not-sent" || outcome === "refused") assert.strictEqual(times, 0, `seed ${seed}, turn ${nth}`)
    }
    return {
      succeeded: results.filter(({ _tag }) => _tag === "Success").length,
      repeated: [...arrived.values()].filter((times) => times > 1).length
    }
  }).pipe(
    Effect.provide(layerClients("http://forge", { times: 4 })),
    Effect.provide(Memory.make(script).layer),
    Random.withSeed(seed)
  )
}
