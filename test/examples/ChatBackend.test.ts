import * as NodeHttpServer from "@effect/platform-node/NodeHttpServer"
import { assert, describe, it } from "@effect/vitest"
import { Effect, Layer, Schema, Stream } from "effect"
import { HttpClient, HttpClientRequest, HttpRouter } from "effect/http"
import { randomUUID } from "node:crypto"
import { Turn } from "../../src/index.ts"
import { ForgeTest } from "../../src/testing/index.ts"
import * as ChatBackend from "./ChatBackend.ts"

const backend = (script: ForgeTest.Script) =>
  HttpRouter.serve(ChatBackend.routes, { disableLogger: true, disableListenLog: true }).pipe(
    Layer.provide(ChatBackend.Chats.layer),
    Layer.provideMerge(ForgeTest.layer(script, { client: { retry: false } })),
    Layer.provideMerge(NodeHttpServer.layerTest)
  )

const ask = Effect.fnUntraced(function* (
  prompt: string,
  {
    after = 0,
    id = randomUUID(),
    user = "ada"
  }: { readonly id?: string; readonly user?: string; readonly after?: number } = {}
) {
  return yield* HttpClient.execute(
    HttpClientRequest.post("/chat").pipe(
      HttpClientRequest.setHeaders({ cookie: `user=${user}`, "last-event-id": String(after) }),
      HttpClientRequest.bodyJsonUnsafe({ id, prompt })
    )
  )
})

const decode = Schema.decodeSync(Schema.fromJsonString(Schema.toCodecJson(Turn.Part)))

/** The frames of an answer, up to some number of them. */
const frames = (response: { readonly stream: Stream.Stream<Uint8Array, unknown> }, most = Infinity) =>
  response.stream.pipe(
    Stream.decodeText,
    Stream.splitLines,
    Stream.filter((line) => line !== ""),
    Stream.grouped(3),
    Stream.map(([id, , data = ""]) => ({
      id: Number(id.slice("id: ".length)),
      part: decode(data.slice("data: ".length))
    })),
    Stream.take(most),
    Stream.runCollect
  )

const textOf = (frames: ReadonlyArray<{ readonly part: Turn.Part }>) =>
  frames.map(({ part }) => (part._tag === "Text" ? part.content : "")).join("")

const text = "one two three four five six seven eight nine ten eleven twelve"

describe("a chat backend", () => {
  it.live("streams the answers of one conversation for each user", () =>
    Effect.gen(function* () {
      assert.strictEqual(textOf(yield* frames(yield* ask("hello"))), 'hello of {"user":"ada"}, turn 1')
      assert.strictEqual(textOf(yield* frames(yield* ask("and?"))), 'and? of {"user":"ada"}, turn 2')
      const bob = yield* frames(yield* ask("hello", { user: "bob" }))
      assert.strictEqual(textOf(bob), 'hello of {"user":"bob"}, turn 1')
      assert.strictEqual(bob.at(-1)?.part._tag, "Done")
      const { sessions } = yield* ForgeTest.ForgeTest
      assert.lengthOf(yield* sessions, 2)
    }).pipe(
      Effect.provide(
        backend(
          (prompt, { history, session }) => `${prompt} of ${JSON.stringify(session.meta)}, turn ${history.length + 1}`
        )
      )
    )
  )

  it.live("goes on after a reload, with no word twice and the prompt sent once", () =>
    Effect.gen(function* () {
      const id = randomUUID()
      const before = yield* frames(yield* ask("count", { id }), 2)
      const after = yield* frames(yield* ask("count", { id, after: before.at(-1)?.id ?? 0 }))
      assert.strictEqual(textOf(before) + textOf(after), text)
      const { prompts } = yield* ForgeTest.ForgeTest
      assert.lengthOf(yield* prompts, 1)
    }).pipe(Effect.provide(backend([ForgeTest.text(text, { pace: "20 millis" })])))
  )

  for (const [failure, status, message] of [
    [ForgeTest.unauthorized, 500, "The chat is not set up."],
    [ForgeTest.poolFull, 503, "Too busy just now."],
    [ForgeTest.runFailed("out of paper"), 502, "The agent failed."],
    [ForgeTest.reset, 502, "The agent cannot be reached."],
    [ForgeTest.invalid("prompt", "must be polite"), 400, "body.prompt: must be polite"]
  ] as const) {
    it.live(`answers a failure with ${status}: ${message}`, () =>
      Effect.gen(function* () {
        const response = yield* ask("hello")
        assert.strictEqual(response.status, status)
        assert.deepStrictEqual(yield* response.json, { message })
        assert.strictEqual(response.headers["retry-after"], status === 503 ? "5" : undefined)
      }).pipe(Effect.provide(backend([failure])))
    )
  }

  it.live("ends an answer that fails half-way with an event", () =>
    Effect.gen(function* () {
      const response = yield* ask("hello")
      assert.strictEqual(response.status, 200)
      assert.include(
        yield* response.text,
        'event: Failed\ndata: {"message":"Agent claude failed the turn: out of paper"}'
      )
    }).pipe(
      Effect.provide(
        backend([
          ForgeTest.runFailed("out of paper", { events: [{ _tag: "Text", content: "So" }], delay: "50 millis" })
        ])
      )
    )
  )

  it.live("refuses a question that is none, and serves its page", () =>
    Effect.gen(function* () {
      assert.strictEqual((yield* ask("")).status, 400)
      assert.strictEqual((yield* ask("x", { id: "1" })).status, 400)
      const page = yield* HttpClient.get("/")
      assert.include(yield* page.text, "<!doctype html>")
    }).pipe(Effect.provide(backend([])))
  )
})
