/**
 * Every failure on every operation: how often the server received it, and what the error says.
 */
import { assert, describe, it } from "@effect/vitest"
import { Effect, Layer } from "effect"
import * as NodeHttpClient from "@effect/platform-node/NodeHttpClient"
import { ForgeClient } from "../../../src/index.ts"
import { NodeForgeClient } from "../../../src/node/index.ts"
import { type Failed, health, type Kind, layerClients, type Operation, operations } from "../../support/Clients.ts"
import { patience } from "../../support/Patience.ts"
import { type Answer, layerServer, type Received, ScriptedServer } from "../../support/ScriptedServer.ts"

/** Three requests at most. */
const retry = { times: 2, pause: 1, maxRetryAfter: "30 seconds" } as const

/** How many requests each kind of call makes; a keyed one by a server with idempotency, and to one that does not. */
interface Sent {
  readonly idempotent: number
  readonly remembered: number
  readonly keyed: number
  readonly once: number
}

const always: Sent = { idempotent: 3, remembered: 3, keyed: 3, once: 3 }
const whereHarmless: Sent = { idempotent: 3, remembered: 3, keyed: 1, once: 1 }
const never: Sent = { idempotent: 1, remembered: 1, keyed: 1, once: 1 }

interface Failure {
  readonly name: string
  readonly answer: Answer
  readonly sent: Sent
  readonly tag: Failed["_tag"]
  readonly outcome?: "refused" | "unknown" | "acted"
  /** Of an `ApiError`; of a `TransportError` the tag of its reason. */
  readonly is?: number | string
}

const page = "<html><head><title>Bad Gateway</title></head><body>nginx</body></html>"
const ownFailure = { ok: false, error: "agent died", stderr: "", duration_ms: 1, stop_reason: "error" }
const pool = { detail: "session pool is full" }
const limited = (headers: Record<string, string>): Answer => ({ status: 429, json: { detail: "slow down" }, headers })
const refused = { tag: "ApiError", outcome: "refused" } as const
const unknown = { tag: "ApiError", outcome: "unknown", sent: whereHarmless } as const
const malformed = { tag: "TransportError", is: "Malformed", sent: never } as const

const failures: ReadonlyArray<Failure> = [
  {
    name: "reset before the headers",
    answer: "reset",
    sent: whereHarmless,
    tag: "TransportError",
    outcome: "unknown",
    is: "Reset"
  },
  {
    name: "reset in the body",
    answer: { json: { ok: true }, cut: true },
    sent: whereHarmless,
    tag: "TransportError",
    outcome: "unknown",
    is: "Reset"
  },
  { name: "429", answer: limited({}), sent: always, ...refused, is: 429 },
  { name: "429, Retry-After in seconds", answer: limited({ "retry-after": "0" }), sent: always, ...refused, is: 429 },
  {
    name: "429, Retry-After a past date",
    answer: limited({ "retry-after": "Sun, 06 Nov 1994 08:49:37 GMT" }),
    sent: always,
    ...refused,
    is: 429
  },
  {
    name: "429, Retry-After not a time",
    answer: limited({ "retry-after": "soon" }),
    sent: always,
    ...refused,
    is: 429
  },
  {
    name: "429, Retry-After beyond the cap",
    answer: limited({ "retry-after": "31" }),
    sent: never,
    ...refused,
    is: 429
  },
  {
    name: "429, Retry-After a date beyond the cap",
    answer: limited({ "retry-after": "Fri, 01 Jan 2199 00:00:00 GMT" }),
    sent: never,
    ...refused,
    is: 429
  },
  {
    name: "429, Retry-After beyond all measure",
    answer: limited({ "retry-after": "9".repeat(40) }),
    sent: never,
    ...refused,
    is: 429
  },
  { name: "429 of a proxy", answer: { status: 429, text: page }, sent: always, ...refused, is: 429 },
  { name: "503 of the contract: pool full", answer: { status: 503, json: pool }, sent: always, ...refused, is: 503 },
  {
    name: "503 of the contract: too many runs",
    answer: { status: 503, json: { detail: "too many runs" } },
    sent: always,
    ...refused,
    is: 503
  },
  {
    name: "503 of the contract: shutting down",
    answer: { status: 503, json: { detail: "shutting down" } },
    sent: always,
    ...refused,
    is: 503
  },
  {
    name: "503 of the contract: storage unavailable",
    answer: { status: 503, json: { detail: "storage unavailable" } },
    sent: always,
    ...refused,
    is: 503
  },
  {
    name: "503 of the contract, Retry-After beyond the cap",
    answer: { status: 503, json: pool, headers: { "retry-after": "31" } },
    sent: never,
    ...refused,
    is: 503
  },
  { name: "503 of a proxy", answer: { status: 503, text: page }, ...unknown, is: 503 },
  {
    name: "503 of a proxy that speaks JSON",
    answer: { status: 503, json: { detail: "upstream connection pool exhausted" } },
    ...unknown,
    is: 503
  },
  { name: "503 without a body", answer: { status: 503 }, ...unknown, is: 503 },
  {
    name: "502 of the contract",
    answer: { status: 502, json: ownFailure },
    sent: never,
    tag: "ApiError",
    outcome: "acted"
  },
  { name: "502 of a proxy", answer: { status: 502, text: page }, ...unknown },
  {
    name: "502 that only looks like the contract's",
    answer: { status: 502, json: { error: "bad gateway" } },
    ...unknown
  },
  { name: "504 of a proxy", answer: { status: 504, text: page }, ...unknown, is: 500 },
  { name: "500", answer: { status: 500, text: "Internal Server Error" }, ...unknown, is: 500 },
  { name: "408", answer: { status: 408 }, ...unknown, is: 400 },
  { name: "400", answer: { status: 400, json: { detail: "no" } }, sent: never, ...refused, is: 400 },
  { name: "404", answer: { status: 404, json: { detail: "session not found" } }, sent: never, ...refused },
  { name: "409", answer: { status: 409, json: { detail: "token exists" } }, sent: never, ...refused },
  { name: "413", answer: { status: 413, json: { detail: "request too large" } }, sent: never, ...refused },
  {
    name: "422",
    answer: { status: 422, json: { detail: [{ loc: ["body"], msg: "no", type: "x" }] } },
    sent: never,
    ...refused
  },
  { name: "401", answer: { status: 401, json: { detail: "invalid token" } }, sent: never, tag: "AuthError" },
  { name: "403", answer: { status: 403, text: page }, sent: never, tag: "AuthError" },
  { name: "200 that is not JSON", answer: { text: page }, ...malformed, outcome: "acted" },
  { name: "200 without a body", answer: {}, ...malformed, outcome: "acted" },
  { name: "200 cut off inside its JSON", answer: { text: '{"ok": tr' }, ...malformed, outcome: "acted" },
  { name: "200 of another shape", answer: { json: { ok: false } }, ...malformed, outcome: "acted" },
  { name: "redirect", answer: { status: 307, headers: { location: "/elsewhere" } }, ...malformed, outcome: "unknown" }
]

/** Makes every call against a server that fails each of them in one way. */
const eachOperation = (
  {
    answer,
    features = [],
    retry: bounds = retry
  }: { answer: Answer; features?: ReadonlyArray<string>; retry?: typeof retry | false },
  check: (operation: Operation, error: Failed, received: ReadonlyArray<Received>) => void
) => {
  let current: Operation | undefined
  const script = ({ path }: Received) =>
    path === "/healthz" && current?.name !== "health" ? { json: health(features) } : answer
  const clients = Layer.unwrap(Effect.map(ScriptedServer, ({ url }) => layerClients(url, bounds)))
  return Effect.gen(function* () {
    const { received } = yield* ScriptedServer
    for (const operation of operations) {
      current = operation
      const before = received.length
      const error = yield* Effect.flip(operation.call)
      const own = received.slice(before).filter(({ path }) => path === operation.path)
      check(operation, error, own)
    }
  }).pipe(
    Effect.provide(
      clients.pipe(Layer.provideMerge(layerServer(script)), Layer.provide(NodeForgeClient.layerHttpClient))
    )
  )
}

const isTransport = (error: Failed) => error._tag === "TransportError"

describe("a failed call is retried if its outcome allows", () => {
  for (const failure of failures) {
    describe(failure.name, () => {
      const expected = (kind: Kind, remembered: boolean) =>
        failure.sent[kind === "keyed" && remembered ? "remembered" : kind]
      for (const features of [[], ["idempotency"]]) {
        it.live(features.length === 0 ? "by a server without idempotency" : "by a server with idempotency", () =>
          eachOperation({ answer: failure.answer, features }, (operation, error, received) => {
            assert.strictEqual(received.length, expected(operation.kind, features.length > 0), operation.name)
            assert.strictEqual(error._tag, failure.tag, operation.name)
            if ("outcome" in error) assert.strictEqual(error.outcome, failure.outcome, operation.name)
            if (failure.is !== undefined) {
              const is = isTransport(error) ? error.reason._tag : "status" in error ? error.status : undefined
              assert.strictEqual(is, failure.is, operation.name)
            }
            const keys = new Set(received.map(({ headers }) => headers["idempotency-key"]))
            assert.strictEqual(keys.size, 1, `${operation.name}: one key for all its repeats`)
            assert.strictEqual(keys.has(undefined), operation.kind !== "keyed", `${operation.name}: a key`)
            assert.strictEqual(new Set(received.map(({ body }) => body)).size, 1, `${operation.name}: the same body`)
          })
        )
      }
    })
  }
})

it.live("retry: false disables retries, whatever the failure", () =>
  Effect.forEach(["reset", limited({ "retry-after": "0" }), { status: 503, json: pool }] as const, (answer) =>
    eachOperation({ answer, features: ["idempotency"], retry: false }, (operation, _, received) => {
      assert.strictEqual(received.length, 1, operation.name)
    })
  )
)

it.live("every call has a unique key, across clients", () => {
  const keysOf = Effect.gen(function* () {
    const { received } = yield* ScriptedServer
    for (const { call, kind } of operations) if (kind === "keyed") yield* Effect.all([call, call])
    return received.map(({ headers }) => headers["idempotency-key"])
  })
  const script = ({ method, path }: Received) => ({
    json: operations.find(({ request }) => request === `${method} ${path}`)?.good
  })
  const client = Layer.unwrap(Effect.map(ScriptedServer, ({ url }) => layerClients(url)))
  const program = Effect.provide(keysOf, Layer.provide(Layer.fresh(client), NodeForgeClient.layerHttpClient))
  return Effect.gen(function* () {
    const [, both] = yield* Effect.all([program, program])
    assert.strictEqual(both.length, 12)
    assert.strictEqual(new Set(both).size, 12)
    for (const key of both) assert.match(String(key), /^[\x21-\x7e]{1,255}$/)
  }).pipe(Effect.provide(layerServer(script)))
})

it.live("discarded bodies of 1 MiB do not hold the only connection", () => {
  const answer = { status: 503, json: { detail: `session pool is full ${"x".repeat(2 ** 20)}` } }
  const script = (_: Received, nth: number): Answer => (nth < 3 ? answer : { json: health() })
  const oneConnection = NodeHttpClient.layerUndiciOptions({ connections: 1 })
  return Effect.gen(function* () {
    const { received, url } = yield* ScriptedServer
    const call = Effect.flatMap(ForgeClient.ForgeClient, (client) => client.health)
    yield* Effect.provide(call, Layer.provide(layerClients(url, retry), oneConnection))
    assert.strictEqual(received.length, 3)
  }).pipe(Effect.timeout(patience), Effect.provide(layerServer(script)))
})
