import { assert, describe, it } from "@effect/vitest"
import { Duration, Effect, Exit, Layer, Redacted, Schema, Stream } from "effect"
import { ApiError, Forge, ForgeAdmin, ForgeClient, Upload } from "../../../src/index.ts"
import { NodeForgeAdmin, NodeForgeClient } from "../../../src/node/index.ts"
import { layerClients } from "../../support/MemoryServer.ts"
import { type Script, ScriptedServer, wellBehaved } from "../../support/ScriptedServer.ts"

/** A value that the types forbid, as JavaScript can pass it. */
const untyped = (value: unknown): never => value as never

type Refused = Effect.Effect<unknown, unknown, ForgeClient.ForgeClient | ForgeAdmin.ForgeAdmin>

const turn = (prompt: unknown, options?: unknown): Refused =>
  Forge.withSession({}, (session) => session.turn(untyped(prompt), untyped(options)))
const run = (prompt: unknown, options?: unknown): Refused => Forge.run(untyped(prompt), untyped(options))
const create = (options: unknown): Refused => Effect.scoped(Forge.session(untyped(options)))
const upload = (source: unknown, options?: unknown): Refused => Forge.upload(untyped(source), untyped(options))
const admin = (use: (admin: ForgeAdmin.ForgeAdmin["Service"]) => Effect.Effect<unknown, unknown>): Refused =>
  ForgeAdmin.ForgeAdmin.use(use)

const cyclic: Record<string, unknown> = {}
cyclic["one"] = cyclic["two"] = cyclic

const deep = (levels: number): unknown => {
  let value: unknown = 1
  for (let level = 0; level < levels; level++) value = { value }
  return value
}

const throwing = {
  get agent(): string {
    throw new Error("a getter")
  }
}

const notPrompts = [undefined, null, 7, true, ["canary"], { canary: 1 }, Symbol("canary"), () => "canary", "", " \n\t"]
const notSpans = [
  "soon",
  "2 minute s",
  "",
  "-1 seconds",
  NaN,
  -1,
  Infinity,
  -Infinity,
  null,
  () => 1,
  Symbol("s"),
  {},
  { second: "1" },
  [1, NaN]
]
const notMeta = [
  ["an array", []],
  ["a Map", new Map([["a", 1]])],
  ["a Date", new Date(0)],
  ["a string", "text"],
  ["a function in it", { f: () => 1 }],
  ["undefined in it", { u: undefined }],
  ["a bigint in it", { b: 1n }],
  ["NaN in it", { n: NaN }],
  ["a Date in it", { d: new Date(0) }],
  ["itself in it", cyclic],
  ["a depth of 65", deep(65)],
  ["an endless depth", deep(100_000)]
] as const
const notSources: ReadonlyArray<readonly [string, unknown]> = [
  ["null", null],
  ["no name", { ...Upload.fromBytes("a", new Uint8Array(1)), name: undefined }],
  ["a line in the name", Upload.fromBytes("a\r\nX: y", new Uint8Array(1))],
  ["no stream", { name: "a", content: "text", size: 1, rereadable: true }],
  ["no content type", Upload.fromBytes("a", new Uint8Array(1), { contentType: "text" })],
  ["a line in the content type", Upload.fromBytes("a", new Uint8Array(1), { contentType: "text/plain\r\nX: y" })],
  ["a negative size", Upload.fromStream("a", Stream.empty, { size: -1 })],
  ["a size of NaN", Upload.fromStream("a", Stream.empty, { size: NaN })]
]

const describeValue = (value: unknown) => (typeof value === "string" ? JSON.stringify(value) : String(value))

const refused: ReadonlyArray<readonly [string, Refused]> = [
  ...notPrompts.map((prompt) => [`turn: prompt ${describeValue(prompt)}`, turn(prompt)] as const),
  ...notPrompts.map((prompt) => [`run: prompt ${describeValue(prompt)}`, run(prompt)] as const),
  ...notSpans.map((timeout) => [`turn: timeout ${describeValue(timeout)}`, turn("hello", { timeout })] as const),
  ...notSpans.map((timeout) => [`run: timeout ${describeValue(timeout)}`, run("hello", { timeout })] as const),
  ...notMeta.map(([name, meta]) => [`session: meta with ${name}`, create({ meta })] as const),
  ...notSources.map(([name, source]) => [`upload: ${name}`, upload(source)] as const),
  ["turn: options null", turn("hello", null)],
  ["turn: files no array", turn("hello", { files: "ff_canary" })],
  ["turn: files not redacted", turn("hello", { files: ["ff_canary"] })],
  ["turn: files not strings", turn("hello", { files: [Redacted.make(7)] })],
  ["turn: files no tokens", turn("hello", { files: [Upload.fileToken("ff_a/../b")] })],
  ["run: options null", run("hello", null)],
  ["run: system", run("hello", { system: " " })],
  ["run: system mode", run("hello", { systemMode: "canary" })],
  ["run: effort", run("hello", { effort: "canary" })],
  ["run: model", run("hello", { model: ["opus"] })],
  ["session: options null", create(null)],
  ["session: options that throw", create(throwing)],
  ["session: agent", create({ agent: 7 })],
  ["session: agent with a space", create({ agent: "no spaces" })],
  ["session: model", create({ model: {} })],
  ["session: model with a leading dash", create({ model: "-x" })],
  ["attach: id", Forge.attach(untyped({ canary: 1 }))],
  ["attach: no id", Forge.attach(untyped(undefined))],
  ["upload: time to live", upload(Upload.fromBytes("a", new Uint8Array(1)), { timeToLive: "a while" })],
  ["upload: timeout", upload(Upload.fromBytes("a", new Uint8Array(1)), { timeout: Infinity })],
  ["upload: options null", upload(Upload.fromBytes("a", new Uint8Array(1)), null)],
  ["mint: name", admin(({ mint }) => mint("No Capitals"))],
  ["mint: cidrs", admin(({ mint }) => mint("app", { ipCidrs: untyped(["10.0.0.0/8", 7]) }))],
  ["mint: options null", admin(({ mint }) => mint("app", untyped(null)))],
  ["revoke: name", admin(({ revoke }) => revoke(untyped(undefined)))]
]

const script: Script = (request, nth) =>
  request.path === "/sessions" && request.method === "POST"
    ? wellBehaved()(request, nth)
    : request.method === "DELETE"
      ? { json: { ok: true } }
      : { status: 500, json: { detail: "this must not be sent" } }

const clients = layerClients(script, { retry: false })

describe("invalid input is ApiError<422>, not sent, and never a defect", () => {
  it.effect("refuses prompts, options, files and names", () =>
    Effect.gen(function* () {
      const { received } = yield* ScriptedServer
      for (const [name, effect] of refused) {
        received.length = 0
        const error = yield* Effect.flip(Effect.catchDefect(effect, (defect) => Effect.succeed(defect)))
        assert.isTrue(ApiError.is(422)(error) && error.outcome === "not-sent", name)
        assert.notMatch(String(error), /canary/, name)
        // A turn opens and closes its session; nothing else is sent.
        const around = name.startsWith("turn") ? ["/sessions", "/sessions/s-1"] : []
        assert.deepStrictEqual(
          received.map(({ path }) => path),
          around,
          name
        )
      }
    }).pipe(Effect.provide(clients))
  )

  it.effect("the error says in one sentence what is expected, and where", () =>
    Effect.gen(function* () {
      const messageOf = (effect: Refused) => Effect.map(Effect.flip(effect), (error) => (error as ApiError).message)
      assert.strictEqual(yield* messageOf(turn(7)), "prompt must be string")
      assert.strictEqual(yield* messageOf(turn("")), "prompt must not be empty")
      assert.strictEqual(
        yield* messageOf(turn("hello", { timeout: "soon" })),
        'timeout must be a span of time, "2 minutes" for one, and not negative'
      )
      assert.strictEqual(yield* messageOf(turn("hello", { files: ["ff_1"] })), "files.0 must be a file token, ff_…")
      assert.strictEqual(yield* messageOf(create({ meta: { a: { b: 1n } } })), "meta.a must be JSON value")
      assert.strictEqual(yield* messageOf(create({ meta: new Map() })), "meta must be a plain JSON object")
      assert.strictEqual(yield* messageOf(turn("hello", null)), "the input cannot be read: it must be plain data")
    }).pipe(Effect.provide(clients))
  )

  it.effect("half a character is sent as U+FFFD", () =>
    Effect.gen(function* () {
      const { received } = yield* ScriptedServer
      yield* create({ meta: { "a\ud83d": ["\ude00", "😀"] } })
      yield* Effect.exit(turn("a\ud83d, 😀"))
      yield* Effect.exit(run("hello", { system: "b\ud83d" }))
      const bodies = received.map(({ body }) => body).join("\n")
      assert.include(bodies, '"meta":{"a�":["�","😀"]}')
      assert.include(bodies, '"system":"b�"')
      assert.include(bodies, '"prompt":"a�, 😀"')
    }).pipe(Effect.provide(clients))
  )

  it.effect("unusual but valid input is sent", () =>
    Effect.gen(function* () {
      const { received } = yield* ScriptedServer
      const seconds = Effect.fnUntraced(function* (timeout: Duration.Input) {
        received.length = 0
        yield* Effect.exit(turn("hello", { timeout }))
        const sent = received.find(({ path }) => path.endsWith("/turn"))?.body ?? "{}"
        return (yield* Schema.decodeEffect(Schema.fromJsonString(Schema.Struct({ timeout_secs: Schema.Int })))(sent))
          .timeout_secs
      })
      assert.strictEqual(yield* seconds(0), 1)
      assert.strictEqual(yield* seconds(1), 1)
      assert.strictEqual(yield* seconds(1001), 2)
      assert.strictEqual(yield* seconds(Duration.millis(1999)), 2)
      assert.strictEqual(yield* seconds("2 minutes"), 120)
      assert.strictEqual(yield* seconds([1, 1]), 2)
      yield* create({ meta: { nested: deep(62), list: [null, true, "a", 1.5], __proto__: null }, model: undefined })
    }).pipe(Effect.provide(clients))
  )
})

describe("a layer with invalid options fails with ApiError<422>", () => {
  const token = Redacted.make("cf_test")
  const options: Record<string, unknown> = {
    "a token that is not redacted": { token: "cf_canary" },
    "a token with a space": { token: Redacted.make("cf_canary and") },
    "no token": {},
    "a URL that is none": { token, url: "canary" },
    "a URL with user info": { token, url: "http://canary:canary@127.0.0.1" },
    "negative repeats": { token, retry: { times: -1 } },
    "repeats of NaN": { token, retry: { times: NaN } },
    "a negative pause": { token, retry: { pause: -1 } },
    "a pause that is none": { token, retry: { maxPause: "canary" } },
    "an endless budget": { token, retry: { budget: Infinity } },
    "a Retry-After of NaN": { token, retry: { maxRetryAfter: NaN } },
    "retry: true": { token, retry: true },
    "retry: null": { token, retry: null }
  }
  for (const [name, bad] of Object.entries(options)) {
    it.effect(name, () =>
      Effect.gen(function* () {
        for (const layer of [NodeForgeClient.layer(untyped(bad)), NodeForgeAdmin.layer(untyped(bad))]) {
          const exit = yield* Effect.exit(Effect.scoped(Layer.build(layer as Layer.Layer<never, unknown>)))
          const error = Exit.isFailure(exit) ? exit.cause.reasons[0] : undefined
          assert.isTrue(error?._tag === "Fail" && ApiError.is(422)(error.error), String(exit))
          assert.notMatch(String(exit), /canary/)
        }
      })
    )
  }
})
