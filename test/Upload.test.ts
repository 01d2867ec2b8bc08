import * as NodeServices from "@effect/platform-node/NodeServices"
import { assert, describe, it } from "@effect/vitest"
import { Cause, Data, Deferred, Duration, Effect, Exit, Fiber, FileSystem, Redacted, Stream } from "effect"
import { FetchHttpClient } from "effect/http"
import { Forge, Upload } from "../src/index.ts"
import { NodeForgeClient } from "../src/node/index.ts"
import { failing } from "./support/Conversation.ts"
import { layerClients } from "./support/Operations.ts"
import * as Connections from "./support/Connections.ts"
import { type Answer, layer, ScriptedServer, type Received } from "./support/ScriptedServer.ts"

/** Line ends of every kind, what looks like a boundary, and each byte there is. */
const awkward = Buffer.concat([
  Buffer.from('\r\n--clawdforge--\r\n\r\n\n\r--\r\nContent-Disposition: form-data; name="file"\r\n\r\n'),
  Buffer.from(Array.from({ length: 256 }, (_, byte) => byte))
])

const uploaded = (size: number): Answer => ({ json: { file_token: "ff_staged", ttl_secs: 3600, size } })

const takesAll = (request: Received) => uploaded(request.bytes.byteLength)

const boundaryOf = ({ headers }: Received): string => String(headers["content-type"]).split("boundary=")[1] ?? ""

/** The one body that is allowed to arrive. */
const bodyOf = (
  request: Received,
  file: {
    readonly name: string
    readonly bytes: Uint8Array
    readonly fields?: Record<string, string>
    readonly type?: string
  }
): Buffer => {
  const line = `--${boundaryOf(request)}`
  const fields = Object.entries(file.fields ?? {}).map(
    ([name, value]) => `${line}\r\nContent-Disposition: form-data; name="${name}"\r\n\r\n${value}\r\n`
  )
  const head = `${line}\r\nContent-Disposition: form-data; name="file"; filename="${file.name}"\r\n`
  return Buffer.concat([
    Buffer.from(`${fields.join("")}${head}Content-Type: ${file.type ?? "application/octet-stream"}\r\n\r\n`),
    file.bytes,
    Buffer.from(`\r\n${line}--\r\n`)
  ])
}

const requests = ScriptedServer.useSync(({ received }) => received)

const only = Effect.flatMap(requests, ([one, ...more]) =>
  one === undefined || more.length > 0 ? Effect.die(`${more.length} more requests`) : Effect.succeed(one)
)

const assertBody = (request: Received, file: Parameters<typeof bodyOf>[1]) => {
  assert.strictEqual(request.bytes.toString("latin1"), bodyOf(request, file).toString("latin1"))
}

class Broken extends Data.TaggedError("Broken")<{ readonly code: string }> {}

describe("an upload", () => {
  it.live("from bytes is sent byte for byte, with its length", () =>
    Effect.gen(function* () {
      const file = yield* Forge.upload(Upload.fromBytes("a.bin", awkward))
      const request = yield* only
      assert.deepStrictEqual([request.method, request.path], ["POST", "/files"])
      assert.strictEqual(request.headers["content-length"], String(request.bytes.byteLength))
      assert.match(boundaryOf(request), /^clawdforge-[0-9a-f]{32}$/)
      assertBody(request, { name: "a.bin", bytes: awkward })
      assert.strictEqual(Redacted.value(file.token), "ff_staged")
      assert.deepInclude(file, { size: request.bytes.byteLength, timeToLive: Duration.hours(1) })
    }).pipe(Effect.provide(layer(takesAll)))
  )

  it.live("from a path is sent byte for byte, under the file's own name or another", () =>
    Effect.gen(function* () {
      const fs = yield* FileSystem.FileSystem
      const folder = yield* fs.makeTempDirectoryScoped()
      const large = Buffer.alloc(300_000, awkward)
      yield* fs.writeFile(`${folder}/notes.txt`, large)
      yield* fs.writeFile(`${folder}/empty`, new Uint8Array())
      yield* Forge.upload(yield* Upload.fromPath(`${folder}/notes.txt`))
      yield* Forge.upload(yield* Upload.fromPath(`${folder}/notes.txt`, { name: "other.txt" }))
      yield* Forge.upload(yield* Upload.fromPath(`${folder}/empty`))
      const bodies = [
        { name: "notes.txt", bytes: large },
        { name: "other.txt", bytes: large },
        { name: "empty", bytes: new Uint8Array() }
      ]
      for (const [nth, request] of (yield* requests).entries()) {
        assertBody(request, bodies[nth] ?? { name: "", bytes: large })
        assert.strictEqual(request.headers["content-length"], String(request.bytes.byteLength))
      }
    }).pipe(Effect.scoped, Effect.provide([layer(takesAll), NodeServices.layer]))
  )

  it.live("of a file that grows sends what it held at first", () =>
    Effect.gen(function* () {
      const fs = yield* FileSystem.FileSystem
      const path = `${yield* fs.makeTempDirectoryScoped()}/log`
      yield* fs.writeFileString(path, "one\n")
      const source = yield* Upload.fromPath(path)
      yield* fs.writeFileString(path, "two\n", { flag: "a" })
      yield* Forge.upload(source)
      assertBody(yield* only, { name: "log", bytes: Buffer.from("one\n") })
    }).pipe(Effect.scoped, Effect.provide([layer(takesAll), NodeServices.layer]))
  )

  it.live("from a stream is sent byte for byte, chunked or with the given length", () =>
    Effect.gen(function* () {
      const content = Stream.fromIterable([awkward, new Uint8Array(), awkward])
      const bytes = Buffer.concat([awkward, awkward])
      yield* Forge.upload(Upload.fromStream("s", content))
      yield* Forge.upload(Upload.fromStream("s", content, { size: bytes.byteLength }))
      yield* Forge.upload(Upload.fromStream("s", Stream.empty))
      const [chunked, measured, empty] = yield* requests
      if (chunked === undefined || measured === undefined || empty === undefined) return assert.fail()
      assertBody(chunked, { name: "s", bytes })
      assert.deepInclude(chunked.headers, { "transfer-encoding": "chunked" })
      assertBody(measured, { name: "s", bytes })
      assert.deepInclude(measured.headers, { "content-length": String(measured.bytes.byteLength) })
      assertBody(empty, { name: "s", bytes: new Uint8Array() })
    }).pipe(Effect.provide(layer(takesAll)))
  )

  it.live("is sent with the content type that its source has", () =>
    Effect.gen(function* () {
      const fs = yield* FileSystem.FileSystem
      const path = `${yield* fs.makeTempDirectoryScoped()}/list`
      yield* fs.writeFile(path, awkward)
      const type = "text/csv; charset=utf-8"
      const options = { contentType: type }
      yield* Forge.upload(Upload.fromBytes("list", awkward, options))
      yield* Forge.upload(Upload.fromStream("list", Stream.make(awkward), options))
      yield* Forge.upload(yield* Upload.fromPath(path, options))
      const sent = yield* requests
      for (const request of sent) assertBody(request, { name: "list", bytes: awkward, type })
      assert.strictEqual(sent.length, 3)
    }).pipe(Effect.scoped, Effect.provide([layer(takesAll), NodeServices.layer]))
  )

  it.live("goes over fetch as well", () =>
    Effect.gen(function* () {
      yield* Forge.upload(Upload.fromStream("s", Stream.make(awkward), { size: awkward.byteLength }))
      assertBody(yield* only, { name: "s", bytes: awkward })
    }).pipe(Effect.provide(layerClients(takesAll, { http: FetchHttpClient.layer })))
  )

  it.live(
    "sends its time to live as a field, in whole seconds, rounded up, and returns the one that the server chose",
    () =>
      Effect.gen(function* () {
        const bytes = Buffer.from("x")
        const source = Upload.fromBytes("a", bytes)
        const file = yield* Forge.upload(source, { timeToLive: "90 minutes" })
        yield* Forge.upload(source, { timeToLive: 60_001 })
        yield* Forge.upload(source, { timeToLive: undefined, timeout: undefined })
        const [first, second, third] = yield* requests
        if (first === undefined || second === undefined || third === undefined) return assert.fail()
        assertBody(first, { name: "a", bytes, fields: { ttl_secs: "5400" } })
        assertBody(second, { name: "a", bytes, fields: { ttl_secs: "61" } })
        assertBody(third, { name: "a", bytes })
        assert.deepStrictEqual(file.timeToLive, Duration.hours(1))
      }).pipe(Effect.provide(layer(takesAll)))
  )

  describe("carries its name as browsers do", () => {
    const names: Record<string, string> = {
      "two words.txt": "two words.txt",
      'with "quotes".txt': "with %22quotes%22.txt",
      "with \\ and % and ; and '": "with \\ and % and ; and '",
      "日本語 é 😀.md": "日本語 é 😀.md",
      "../../etc/passwd": "../../etc/passwd"
    }
    for (const [name, sent] of Object.entries(names)) {
      it.live(name, () =>
        Effect.gen(function* () {
          yield* Forge.upload(Upload.fromBytes(name, awkward))
          assertBody(yield* only, { name: sent, bytes: awkward })
        }).pipe(Effect.provide(layer(takesAll)))
      )
    }
  })

  const noNames = ["", " ", "\t", "a\r\nb", "a\nContent-Type: x", "a\0", "a\u007f", "a\u0085", "a\u2028b", "a\ud800"]
  for (const name of noNames) {
    it.live(`is refused with an invalid name, without a request: ${JSON.stringify(name)}`, () =>
      Effect.gen(function* () {
        const { error, sent } = yield* failing(Forge.upload(Upload.fromBytes(name, awkward)))
        assert.deepInclude(error, { _tag: "ApiError", status: 422, outcome: "not-sent", operation: "Forge.upload" })
        assert.strictEqual(error.message, "name must not be empty, nor hold control characters")
        assert.deepStrictEqual(sent, [])
      }).pipe(Effect.provide(layer(takesAll)))
    )
  }

  it.live("of a path that cannot be read fails with the platform's error", () =>
    Effect.gen(function* () {
      const fs = yield* FileSystem.FileSystem
      const folder = yield* fs.makeTempDirectoryScoped()
      const missing = yield* Effect.flip(Upload.fromPath(`${folder}/missing`))
      assert.deepNestedInclude(missing, { _tag: "PlatformError", "reason._tag": "NotFound" })
      const unreadable = yield* Effect.flip(Effect.flatMap(Upload.fromPath(folder), Forge.upload))
      assert.strictEqual(unreadable._tag, "PlatformError")
      assert.deepStrictEqual(yield* requests, [])
    }).pipe(Effect.scoped, Effect.provide([layer(takesAll), NodeServices.layer]))
  )

  for (const http of ["undici", "fetch"]) {
    // The code is one that, of a connection, would prove that nothing was sent.
    const failures = { failure: Stream.fail(new Broken({ code: "ECONNREFUSED" })), defect: Stream.die("a defect") }
    for (const [kind, end] of Object.entries(failures)) {
      it.live(`fails as its source does, and is not repeated: ${kind}, ${http}`, () =>
        Effect.gen(function* () {
          let read = 0
          const content = Stream.concat(Stream.make(awkward), end).pipe(Stream.onStart(Effect.sync(() => (read += 1))))
          const source = { ...Upload.fromStream("s", content), rereadable: true }
          const exit = yield* Effect.exit(Forge.upload(source))
          assert.deepStrictEqual(
            exit,
            kind === "failure" ? Exit.fail(new Broken({ code: "ECONNREFUSED" })) : Exit.die("a defect")
          )
          assert.strictEqual(read, 1)
          assert.deepStrictEqual(yield* requests, [])
        }).pipe(
          Effect.provide(
            layerClients(takesAll, { http: http === "fetch" ? FetchHttpClient.layer : NodeForgeClient.layerHttpClient })
          )
        )
      )
    }
  }

  for (const http of ["undici", "fetch"]) {
    const transport = { http: http === "fetch" ? FetchHttpClient.layer : NodeForgeClient.layerHttpClient }

    for (const chunk of [null, undefined, 7, "text", [1, 2], {}, new ArrayBuffer(1)]) {
      it.live(`of a stream that is not of bytes fails, ${http}: ${JSON.stringify(chunk)}`, () =>
        Effect.gen(function* () {
          const content = Stream.make(awkward, chunk as Uint8Array)
          for (const size of [undefined, awkward.byteLength]) {
            const { error, sent } = yield* failing(Forge.upload(Upload.fromStream("s", content, { size })))
            assert.deepInclude(error, { _tag: "ApiError", status: 422, outcome: "not-sent" })
            assert.strictEqual(error.message, "content must be a Stream of Uint8Array")
            assert.deepStrictEqual(sent, [])
          }
        }).pipe(Effect.provide(layerClients(takesAll, transport)))
      )
    }

    it.live(`whose source interrupts itself is interrupted, and sends no complete file, ${http}`, () =>
      Effect.gen(function* () {
        const content = Stream.concat(Stream.make(awkward), Stream.fromEffect(Effect.interrupt))
        const exit = yield* Effect.exit(Forge.upload(Upload.fromStream("s", content)))
        assert.isTrue(Exit.isFailure(exit) && Cause.hasInterruptsOnly(exit.cause), String(exit))
        assert.deepStrictEqual(yield* requests, [])
      }).pipe(Effect.provide(layerClients(takesAll, transport)))
    )
  }

  for (const size of [awkward.byteLength - 1, awkward.byteLength + 1, 0]) {
    it.live(`of ${awkward.byteLength} bytes that are said to be ${size} fails, and the server gets no whole file`, () =>
      Effect.gen(function* () {
        const { error, sent } = yield* failing(Forge.upload(Upload.fromStream("s", Stream.make(awkward), { size })))
        assert.deepInclude(error, { _tag: "ApiError", status: 422, outcome: "not-sent" })
        assert.strictEqual(error.message, `size is ${size}, but the content has another`)
        assert.deepStrictEqual(sent, [])
      }).pipe(Effect.provide(layer(takesAll)))
    )
  }

  it.live("is repeated where the server refused it for now and the source can be read again; a stream is not", () =>
    Effect.gen(function* () {
      const fs = yield* FileSystem.FileSystem
      const path = `${yield* fs.makeTempDirectoryScoped()}/a`
      yield* fs.writeFile(path, awkward)
      yield* Forge.upload(yield* Upload.fromPath(path))
      yield* Forge.upload(Upload.fromBytes("a", awkward))
      const all = yield* requests
      assert.strictEqual(all.length, 4)
      for (const request of all) assertBody(request, { name: "a", bytes: awkward })
      const { error } = yield* failing(Forge.upload(Upload.fromStream("a", Stream.make(awkward))))
      assert.deepInclude(error, { _tag: "ApiError", status: 503, outcome: "refused" })
      assert.strictEqual((yield* requests).length, 5)
    }).pipe(
      Effect.scoped,
      Effect.provide([
        layer((_, nth) => (nth % 2 === 1 ? { status: 503, json: { detail: "shutting down" } } : uploaded(1)), {
          retry: { pause: 1 }
        }),
        NodeServices.layer
      ])
    )
  )

  it.live("that the server may have taken is not repeated", () =>
    Effect.gen(function* () {
      const { error, sent } = yield* failing(Forge.upload(Upload.fromBytes("a", awkward)))
      assert.deepNestedInclude(error, { _tag: "TransportError", "reason._tag": "Reset", outcome: "unknown" })
      assert.strictEqual(sent.length, 1)
    }).pipe(Effect.provide(layer(() => "reset")))
  )

  /** An endless source that counts what was read and signals its release. */
  const endless = () => {
    const released = Deferred.makeUnsafe<void>()
    let read = 0
    const content = Stream.forever(Stream.make(new Uint8Array(65_536))).pipe(
      Stream.tap(({ byteLength }) => Effect.sync(() => (read += byteLength))),
      Stream.ensuring(Deferred.succeed(released, undefined))
    )
    return { source: Upload.fromStream("endless", content), released, read: () => read }
  }

  const client = (port: number) =>
    NodeForgeClient.layer({ url: `http://127.0.0.1:${port}`, token: Redacted.make("cf_test-token") })

  it.live("that is interrupted stops reading its source, and closes its connection", () =>
    Effect.gen(function* () {
      const started = yield* Deferred.make<void>()
      const server = yield* Connections.tcp((socket) => {
        socket.once("data", () => Deferred.doneUnsafe(started, Effect.void))
      })
      const { released, source } = endless()
      const upload = yield* Effect.forkChild(Effect.provide(Forge.upload(source), client(server.port)))
      yield* Deferred.await(started)
      yield* Fiber.interrupt(upload)
      yield* Deferred.await(released)
      yield* server.quiet
    }).pipe(Effect.scoped)
  )

  it.live("reads its source only as fast as the server takes it", () =>
    Effect.gen(function* () {
      const server = yield* Connections.tcp((socket) => socket.pause())
      const { read, source } = endless()
      yield* Effect.forkScoped(Effect.provide(Forge.upload(source), client(server.port)))
      yield* server.connected
      let before = -1
      while (read() === 0 || before !== read()) {
        before = read()
        yield* Effect.sleep("100 millis")
      }
      // No more than the buffers of the two sockets.
      assert.isBelow(before, 16 * 1024 * 1024)
    }).pipe(Effect.scoped)
  )

  it.live("that is refused before it was read fails with the server's reason", () =>
    Effect.gen(function* () {
      const json = JSON.stringify({ detail: "request too large" })
      const head = "HTTP/1.1 413 Content Too Large\r\nContent-Type: application/json\r\nConnection: close\r\n"
      const server = yield* Connections.tcp((socket) => {
        socket.once("data", () => {
          socket.pause()
          socket.write(`${head}Content-Length: ${json.length}\r\n\r\n${json}`)
        })
      })
      const { released, source } = endless()
      const error = yield* Effect.flip(Effect.provide(Forge.upload(source), client(server.port)))
      assert.deepInclude(error, { _tag: "ApiError", status: 413, message: "request too large", outcome: "refused" })
      yield* Deferred.await(released)
    }).pipe(Effect.scoped)
  )
})
