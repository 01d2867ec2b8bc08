/**
 * The error of every failed answer: one helpful sentence, whatever the body, and nothing of the request.
 */
import * as NodeHttpClient from "@effect/platform-node/NodeHttpClient"
import { assert, describe, it } from "@effect/vitest"
import { Duration, Effect, Layer, Redacted } from "effect"
import { ApiError, Forge } from "../../../src/index.ts"
import { type Failed, layerClients, operations } from "../../support/Clients.ts"
import * as MemoryServer from "../../support/MemoryServer.ts"
import { patience } from "../../support/Patience.ts"
import { type Answer, layerServer, type Received, ScriptedServer } from "../../support/ScriptedServer.ts"

const run = Forge.run("hello")

const failing = (answer: Answer) =>
  Effect.provide(
    Effect.flip(run),
    MemoryServer.layer(() => answer, { retry: false })
  )

const json = (body: unknown): Answer => ({ status: 500, json: body })
const text = (body: string | Uint8Array, type = "text/plain"): Answer => ({
  status: 500,
  text: body,
  headers: { "content-type": type }
})
const html = (body: string) => text(body, "text/html; charset=utf-8")

const noReason = "the server answered 500 and gave no reason"

/** Bodies, and the message of the error. */
const messages: Record<string, readonly [Answer, string]> = {
  "detail: a sentence": [json({ detail: "the disk is full" }), "the disk is full"],
  "detail: a list of issues": [
    json({
      detail: [
        { loc: ["body", "files", 0], msg: "must be a token", type: "x" },
        { loc: [], msg: "no", type: "y" }
      ]
    }),
    "body.files.0: must be a token; no"
  ],
  "detail: a list of issues, without what the contract asks for": [
    json({
      detail: [{ msg: "must be a token" }, { loc: ["body", null, true, "a"], msg: "no" }, { loc: "body", msg: "yes" }]
    }),
    "must be a token; body.a: no; yes"
  ],
  "detail: a list of sentences": [json({ detail: ["one", "two"] }), "one; two"],
  "detail: an empty list": [json({ detail: [] }), '{"detail":[]}'],
  "detail: an object with a message": [json({ detail: { code: 7, message: "the disk is full" } }), "the disk is full"],
  "detail: an object with an error": [json({ detail: { error: "the disk is full" } }), "the disk is full"],
  "detail: nested deeper": [
    json({ detail: { error: { message: "deep" } } }),
    '{"detail":{"error":{"message":"deep"}}}'
  ],
  "detail: empty": [json({ detail: "" }), noReason],
  "detail: white space": [json({ detail: " \n\t " }), noReason],
  "detail: not a string": [json({ detail: 42 }), '{"detail":42}'],
  "error next to detail": [json({ error: "the agent died", detail: "other" }), "the agent died"],
  "another object": [json({ message: "no such route" }), '{"message":"no such route"}'],
  "a string": [json("no such route"), '"no such route"'],
  null: [json(null), "null"],
  "an object of the prototype's names": [
    text('{"__proto__": {"detail": "no"}, "constructor": 1}'),
    '{"__proto__": {"detail": "no"}, "constructor": 1}'
  ],
  "cut off inside its JSON": [text('{"detail": "the disk is', "application/json"), '{"detail": "the disk is'],
  "no body": [{ status: 500 }, noReason],
  "a page with a title": [
    html("<html><head><title>502 Bad Gateway</title></head><body>nginx</body>"),
    "502 Bad Gateway"
  ],
  "a page with an empty title": [html("<title> </title><style>p {}</style><h1>Bad &amp; worse</h1>"), "Bad & worse"],
  "a page without a title": [html("<script>var a = 1</script><h1>Bad Gateway</h1><hr>nginx"), "Bad Gateway nginx"],
  "a page of markup alone": [html("<html><body></body></html>"), noReason],
  "plain words": [text("upstream connect error"), "upstream connect error"],
  "words of another alphabet": [json({ detail: "диск полон" }), "диск полон"],
  "words with a byte order mark": [text('\ufeff{"detail": "the disk is full"}'), "the disk is full"],
  "lines, bells and colours": [json({ detail: "one\r\n\u0007\u001b[31mtwo\u2028three\u0000" }), "one [31mtwo three"],
  "half a character": [json({ detail: "\ud83d" }), "\ufffd"]
}

/** Bodies that only have to do no harm. */
const odd: Record<string, Answer> = {
  "Latin-1 that says it is UTF-8": text(
    Buffer.from("Zugriff für Müller verweigert", "latin1"),
    "text/html; charset=utf-8"
  ),
  "UTF-16": text(Buffer.from("<title>Bad Gateway</title>", "utf16le"), "text/html; charset=utf-16"),
  "bytes that are no text": text(
    Buffer.from(Array.from({ length: 512 }, (_, nth) => nth % 256)),
    "application/octet-stream"
  ),
  "an unknown charset": text("no", "text/plain; charset=klingon-9"),
  "declared as compressed, but plain": { status: 500, text: "no", headers: { "content-encoding": "gzip" } },
  "1 MB of words": text("word ".repeat(200_000)),
  "1 MB of one word": text("x".repeat(1_000_000)),
  "1 MB of markup": html("<".repeat(1_000_000)),
  "1 MB of titles": html("<title>".repeat(140_000)),
  "1 MB of nesting": text("[".repeat(1_000_000), "application/json"),
  "1 MB of issues": json({ detail: Array.from({ length: 20_000 }, () => ({ loc: ["body"], msg: "no", type: "x" })) }),
  "40 MB": text("x".repeat(40_000_000)),
  "pairs that are cut at the end": json({ detail: "a" + "😀".repeat(200) })
}

const isFit = (message: string): void => {
  assert.isAtLeast(message.length, 1)
  assert.isAtMost(message.length, 200)
  assert.isTrue(message.isWellFormed())
  assert.notMatch(message, /[\u0000-\u001f\u007f-\u009f\u2028\u2029]/)
}

describe("the message of an error is taken from the body", () => {
  for (const [name, [answer, expected]] of Object.entries(messages)) {
    it.live(name, () =>
      Effect.map(failing(answer), ({ message }) => {
        assert.strictEqual(message, expected)
        isFit(message)
      })
    )
  }

  for (const [name, answer] of Object.entries(odd)) {
    it.live(`a strange body does no harm: ${name}`, () => Effect.map(failing(answer), ({ message }) => isFit(message)))
  }
})

it.live("after any of these bodies the next call gets a connection", () => {
  const answers = [...Object.values(messages).map(([answer]) => answer), ...Object.values(odd)]
  const script = (_: Received, nth: number): Answer =>
    answers[nth - 1] ?? { json: { ok: true, result: 1, duration_ms: 1 } }
  return Effect.gen(function* () {
    const { url } = yield* ScriptedServer
    yield* Effect.gen(function* () {
      for (const _ of answers) yield* Effect.flip(run)
      assert.strictEqual((yield* run).result, 1)
    }).pipe(
      Effect.provide(Layer.provide(layerClients(url, false), NodeHttpClient.layerUndiciOptions({ connections: 1 })))
    )
  }).pipe(Effect.timeout(patience), Effect.provide(layerServer(script)))
})

describe("a 422 that repeats the rejected input", () => {
  const rejected = "the-rejected-input"
  const echoed: Record<string, unknown> = {
    "as FastAPI does": {
      detail: [{ loc: ["body", "meta"], msg: "no", type: "x", input: { rejected }, ctx: { rejected } }]
    },
    "without a type": { detail: [{ loc: ["body"], msg: "no", input: rejected }] },
    "without a message": { detail: [{ loc: ["body"], input: rejected }] },
    "next to the list": { detail: [{ loc: ["body"], msg: "no", type: "x" }], body: rejected },
    "in an object": { detail: { message: "no", input: rejected } },
    "in an object without detail": { problem: { input: rejected } },
    "in a bare list": [{ input: rejected }],
    "in a body of 1 MB": { detail: [{ loc: ["body"], msg: "no", type: "x", input: rejected.repeat(60_000) }] }
  }
  const cut = `{"detail": [{"loc": ["body"], "input": "${rejected}`
  const answers: Record<string, Answer> = {
    ...Object.fromEntries(Object.entries(echoed).map(([name, body]) => [name, { status: 422, json: body }])),
    "cut off": { status: 422, text: cut, headers: { "content-type": "application/json" } }
  }

  /** Everything in a value, redacted parts included. */
  const everything = (value: unknown, seen = new Set<unknown>()): string => {
    if (Redacted.isRedacted(value)) return everything(Redacted.value(value), seen)
    if (typeof value !== "object" || value === null || seen.has(value)) return String(value)
    seen.add(value)
    return Reflect.ownKeys(value)
      .map((key) => `${String(key)} ${everything(Reflect.get(value, key), seen)}`)
      .join("\n")
  }

  for (const [name, answer] of Object.entries(answers)) {
    it.live(`becomes an error without it: ${name}`, () =>
      Effect.gen(function* () {
        for (const { call, name } of operations) {
          const error = yield* Effect.flip(call)
          assert.deepInclude(error, { _tag: "ApiError", outcome: "refused" }, name)
          assert.notInclude(everything(error), rejected, name)
          isFit(error.message)
        }
      }).pipe(
        Effect.provide(Layer.unwrap(Effect.map(ScriptedServer, ({ url }) => layerClients(url, false)))),
        Effect.provide(NodeHttpClient.layerUndici),
        Effect.provide(layerServer(() => answer))
      )
    )
  }
})

it.live("a 422 as large as the rejected input is still read", () =>
  Effect.gen(function* () {
    const issue = { loc: ["body", "prompt"], msg: "is too long", type: "x", input: "x".repeat(1_000_000) }
    const error = yield* failing({ status: 422, json: { detail: [issue] } })
    assert.strictEqual(error.message, "body.prompt: is too long")
  })
)

it.live("the server's request id and Retry-After are read if they are valid", () =>
  Effect.gen(function* () {
    const withHeaders = (headers: Record<string, string>) => failing({ status: 503, json: { detail: "no" }, headers })
    const good = yield* withHeaders({ "x-request-id": "req-1.a_B", "retry-after": "120" })
    assert.isTrue(ApiError.is(503)(good))
    assert.deepInclude(good, { requestId: "req-1.a_B", operation: "Forge.run", method: "POST", path: "/run" })
    if (good._tag === "ApiError") assert.deepStrictEqual(good.retryAfter, Duration.minutes(2))
    for (const id of ["", "a b", "x".repeat(129), "a;b"]) {
      const error = yield* withHeaders({ "x-request-id": id })
      assert.isTrue("requestId" in error && error.requestId === undefined, id)
    }
  })
)

it.live("each refusal of a 503 is a reason of its own, and the call was refused", () =>
  Effect.gen(function* () {
    const reasons = {
      "session pool is full": "PoolFull",
      "too many runs": "TooManyRuns",
      "shutting down": "ShuttingDown",
      "storage unavailable": "StorageUnavailable",
      "the session belongs to another server": "OtherServer"
    }
    for (const [detail, reason] of Object.entries(reasons)) {
      const error = yield* failing({ status: 503, json: { detail } })
      assert.deepNestedInclude(error, { status: 503, outcome: "refused", "reason._tag": reason }, detail)
    }
  })
)

describe("an undeclared status becomes that of its class", () => {
  const declared: Record<string, ReadonlyArray<number>> = {
    health: [],
    agents: [404],
    create: [413, 422, 502],
    list: [422],
    state: [404, 422],
    turn: [404, 410, 413, 422, 502],
    cancel: [404, 422],
    close: [404, 422],
    run: [404, 413, 422, 502],
    upload: [413, 422],
    mint: [409, 422],
    tokens: [],
    revoke: [404, 422]
  }
  const statuses = [
    400, 402, 404, 405, 408, 409, 410, 413, 415, 418, 421, 422, 425, 429, 431, 451, 499, 500, 501, 502, 503, 504, 507,
    511, 520, 599
  ]
  const answers = { current: 0 }

  it.live("with the original status in its reason", () =>
    Effect.gen(function* () {
      for (const status of statuses) {
        answers.current = status
        for (const { call, name } of operations) {
          const error: Failed = yield* Effect.flip(call)
          if (error._tag !== "ApiError") return assert.fail(`${name} ${status}: ${error._tag}`)
          const isDeclared = [400, 429, 500, 503].includes(status) || declared[name]?.includes(status) === true
          assert.strictEqual(error.status, isDeclared ? status : status < 500 ? 400 : 500, `${name} ${status}`)
          if (!isDeclared) assert.deepInclude(error.reason, { _tag: "Unexpected", status }, `${name} ${status}`)
        }
      }
    }).pipe(
      Effect.provide(Layer.unwrap(Effect.map(ScriptedServer, ({ url }) => layerClients(url, false)))),
      Effect.provide(NodeHttpClient.layerUndici),
      Effect.provide(layerServer(() => ({ status: answers.current, text: "no" })))
    )
  )
})

it.effect("a call that the server's restart cut short has an unknown outcome, and is not repeated", () =>
  Effect.gen(function* () {
    const error = yield* Effect.flip(run)
    assert.isTrue(ApiError.is(502)(error) && error.outcome === "unknown")
    const { received } = yield* ScriptedServer
    assert.strictEqual(received.length, 1)
  }).pipe(
    Effect.provide(
      MemoryServer.layer(() => ({
        status: 502,
        json: {
          ok: false,
          error: "outcome unknown: the server restarted during this call",
          stderr: "",
          duration_ms: 0,
          stop_reason: "error"
        }
      }))
    )
  )
)
