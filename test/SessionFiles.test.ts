import { assert, describe, it } from "@effect/vitest"
import { Effect, Layer, Stream } from "effect"
import { HttpClient, HttpClientError } from "effect/http"
import { Conversations, Forge, ForgeClient } from "../src/index.ts"
import { ForgeTest } from "../src/testing/index.ts"
import * as ResponseBody from "../src/testing/ResponseBody.ts"

const text = "Zwölf Boxkämpfer jagen Viktor quer über den großen Sylter Deich."
const bytes = new TextEncoder().encode(text)

const open = Forge.session({ agent: "claude" })

/** A client whose downloads break after so many bytes, as often as this says, before they are whole. */
const breaking = (after: number, options: { readonly times: number; readonly onBreak?: Effect.Effect<void> }) =>
  Layer.effect(
    ForgeClient.ForgeClient,
    Effect.gen(function* () {
      const { token, url } = yield* ForgeTest.ForgeTest
      const inner = yield* HttpClient.HttpClient
      let left = options.times
      const http = HttpClient.make((request) =>
        Effect.map(inner.execute(request), (response) => {
          const isDownload = request.method === "GET" && request.url.includes("/files/content")
          if (!isDownload || response.status >= 400 || left-- <= 0) return response
          const broken = new HttpClientError.HttpClientError({
            reason: new HttpClientError.DecodeError({ request, response, cause: ResponseBody.broken(request) })
          })
          const whole = Stream.unwrap(
            Effect.map(response.arrayBuffer, (buffer) =>
              Stream.concat(
                Stream.make(new Uint8Array(buffer).subarray(0, after)),
                Stream.unwrap(Effect.as(options.onBreak ?? Effect.void, Stream.fail(broken)))
              )
            )
          )
          return ResponseBody.make(request, response, whole)
        })
      )
      return yield* Effect.provideService(
        ForgeClient.make({ token, url, retry: { pause: 0 } }),
        HttpClient.HttpClient,
        http
      )
    }).pipe(Effect.orDie)
  ).pipe(Layer.provideMerge(ForgeTest.layerHttpClient([])))

const read = (session: Effect.Success<typeof open>, options?: Parameters<typeof session.files.read>[1]) =>
  session.files.read("a.txt", options).pipe(Stream.decodeText, Stream.mkString)

describe("the files of a session", () => {
  it.effect("are written, listed and read, as text, bytes and streams", () =>
    Effect.gen(function* () {
      const { files } = yield* open
      const written = yield* files.write("in/a.txt", "one")
      yield* files.write("in/b.bin", Uint8Array.of(0, 255))
      yield* files.write("in/c", Stream.make(Uint8Array.of(1), Uint8Array.of(2)))
      const { entries, truncated } = yield* files.list({ path: "in" })
      assert.deepStrictEqual(
        entries.map(({ kind, path, size }) => [path, kind, size]),
        [
          ["in/a.txt", "file", 3],
          ["in/b.bin", "file", 2],
          ["in/c", "file", 2]
        ]
      )
      assert.isFalse(truncated)
      assert.strictEqual(entries[0]?.etag, written.etag)
      assert.deepStrictEqual([...(yield* Stream.mkUint8Array(files.read("in/b.bin")))], [0, 255])
      assert.strictEqual(
        yield* Stream.mkString(Stream.decodeText(files.read("in/a.txt", { offset: 1, length: 1 }))),
        "n"
      )
      assert.strictEqual((yield* Stream.mkUint8Array(files.read("in/a.txt", { length: 0 }))).byteLength, 0)
    }).pipe(Effect.scoped, Effect.provide(ForgeTest.layer([])))
  )

  it.effect("are replaced only where their tag is the one that was given", () =>
    Effect.gen(function* () {
      const { files } = yield* open
      const { etag } = yield* files.write("a.txt", "one", { isNew: true })
      const again = yield* Effect.flip(files.write("a.txt", "two", { isNew: true }))
      assert.deepInclude(again, { _tag: "ApiError", status: 412, outcome: "refused", message: "file has changed" })
      assert.strictEqual("reason" in again && again.reason._tag, "FileChanged")
      yield* files.write("a.txt", "two", { etag })
      assert.deepInclude(yield* Effect.flip(files.write("a.txt", "three", { etag })), { status: 412 })
      assert.deepInclude(yield* Effect.flip(Stream.runDrain(files.read("a.txt", { etag }))), { status: 412 })
    }).pipe(Effect.scoped, Effect.provide(ForgeTest.layer([])))
  )

  it.effect("what is not valid is not sent, and a server without files is not asked", () =>
    Effect.gen(function* () {
      const { files } = yield* open
      const refused = [
        files.list({ path: "../x" }),
        files.list({ depth: 0 }),
        Stream.runDrain(files.read("/etc/passwd")),
        Stream.runDrain(files.read("a", { offset: -1 })),
        files.write("a/../../b", "x"),
        files.write("a", 1 as never),
        files.write("a", "x", { etag: 'a"b' }),
        files.list()
      ]
      const messages = yield* Effect.forEach(refused, (effect: Effect.Effect<unknown, { readonly message: string }>) =>
        Effect.map(Effect.flip(effect), ({ message }) => message)
      )
      assert.deepStrictEqual(messages, [
        "path leaves the session's folder",
        "depth must be a value between 1 and 32",
        "path leaves the session's folder",
        "offset must not be negative",
        "path leaves the session's folder",
        "content must be a string, a Uint8Array or a Stream of them",
        "etag must be a tag that a call gave",
        "files is not supported by this server"
      ])
      const { requests } = yield* ForgeTest.ForgeTest
      assert.isEmpty((yield* requests).filter(({ path }) => path.includes("/files")))
    }).pipe(Effect.scoped, Effect.provide(ForgeTest.layer([], { features: [] })))
  )

  it.effect("a write of a stream fails with what the stream fails with, and leaves nothing", () =>
    Effect.gen(function* () {
      const { files } = yield* open
      const content = Stream.concat(Stream.make(Uint8Array.of(1)), Stream.fail("no more" as const))
      assert.strictEqual(yield* Effect.flip(files.write("a.txt", content)), "no more")
      assert.deepInclude(yield* Effect.flip(Stream.runDrain(files.read("a.txt"))), { status: 404 })
    }).pipe(Effect.scoped, Effect.provide(ForgeTest.layer([])))
  )

  it.effect("a download that breaks goes on where it broke, wherever that is", () =>
    Effect.forEach(
      Array.from({ length: bytes.byteLength }, (_, index) => index),
      (after) =>
        Effect.gen(function* () {
          const session = yield* open
          yield* session.files.write("a.txt", text)
          assert.strictEqual(yield* read(session), text)
          const part = yield* read(session, { offset: 1, length: 40 })
          assert.strictEqual(part, new TextDecoder().decode(bytes.subarray(1, 41)))
          const { requests } = yield* ForgeTest.ForgeTest
          const tags = (yield* requests)
            .filter(({ path }) => path.includes("content"))
            .map(({ headers }) => headers["if-match"])
          assert.include(tags.join(), '"')
        }).pipe(Effect.scoped, Effect.provide(breaking(after, { times: 2 })))
    )
  )

  it.effect("a file that has changed when its download goes on is not mixed up with the new one", () => {
    const changed: { change: Effect.Effect<void> } = { change: Effect.void }
    return Effect.gen(function* () {
      const session = yield* open
      yield* session.files.write("a.txt", text)
      changed.change = Effect.asVoid(Effect.orDie(session.files.write("a.txt", "another")))
      assert.deepInclude(yield* Effect.flip(read(session)), { _tag: "ApiError", status: 412 })
    }).pipe(Effect.scoped, Effect.provide(breaking(9, { times: 1, onBreak: Effect.suspend(() => changed.change) })))
  })

  it.effect("are those of a conversation's session", () => {
    class Chats extends Conversations.Service<Chats>()("test/Chats", {
      lookup: () => Effect.succeed({ agent: "claude" })
    }) {}
    return Effect.gen(function* () {
      yield* Chats.use("ada", ({ files }) => files.write("a.txt", text))
      assert.strictEqual(yield* Chats.use("ada", read), text)
    }).pipe(Effect.provide(Layer.provide(Chats.layer, ForgeTest.layer([]))))
  })
})
