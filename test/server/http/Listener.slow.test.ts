/**
 * Uploads that take longer than other requests may, and those that go silent.
 */
import * as NodeFileSystem from "@effect/platform-node/NodeFileSystem"
import { assert, it } from "@effect/vitest"
import { Effect, FileSystem } from "effect"
import type { ClientRequest, IncomingMessage } from "node:http"
import { text as consumeText } from "node:stream/consumers"
import type * as ForgeServer from "../../../src/server/ForgeServer.ts"
import * as Http from "../../support/Http.ts"
import { eventually } from "../../support/Eventually.ts"
import { serve } from "../Support.ts"

const start = Effect.fnUntraced(function* (options: Partial<ForgeServer.Options>) {
  const fs = yield* FileSystem.FileSystem
  const data = yield* fs.makeTempDirectoryScoped()
  const server = yield* serve({ data, headersTimeout: "1 second", ...options })
  const { token, url } = yield* server.mint("app")
  /** Begins a request, and returns it with its answer. */
  const begin = Effect.fnUntraced(function* (path: string, type: string, body: string) {
    const head = { authorization: `Bearer ${token}`, "content-type": type, "content-length": "100000" }
    const client = yield* Http.openRequest(url + path, "POST", head)
    const response = new Promise<IncomingMessage>((resolve) => client.on("response", resolve))
    client.on("error", () => {})
    client.write(body)
    const answer = Effect.promise(async () => {
      const received = await response
      return [received.statusCode, await consumeText(received)] as const
    })
    return { client, answer }
  })
  const uploads = fs.readDirectory(`${data}/uploads`)
  const json = begin("/run", "application/json", '{"prompt":')
  const upload = begin("/files", "multipart/form-data; boundary=b", head)
  return { json, upload, uploads }
})

const head = '--b\r\nContent-Disposition: form-data; name="file"; filename="a"\r\n\r\n'
const tail = "\r\n--b--\r\n"
const tooLong = [408, '{"detail":"the request took too long"}'] as const

/** Sends the rest of an upload, of which so many bytes were sent. */
const complete = (client: ClientRequest, sent: number) =>
  client.end("x".repeat(100_000 - head.length - tail.length - sent) + tail)

it.live("an upload may take longer than another request, as long as its bytes arrive", () =>
  Effect.gen(function* () {
    const { json, upload } = yield* start({ requestTimeout: "2 seconds", maxStall: "1 second" })
    const { answer, client } = yield* upload
    const other = yield* json
    let sent = 0
    const trickling = setInterval(() => client.write("x", () => sent++), 200)
    const trickle = (bytes: number) =>
      Effect.sync(() => sent).pipe(eventually(`${bytes} bytes of an upload`, (sent) => sent >= bytes))
    // The other one is silent too, which ends it first.
    assert.deepStrictEqual(yield* other.answer, tooLong)
    yield* trickle(25)
    clearInterval(trickling)
    complete(client, sent)
    const [status, text] = yield* answer
    assert.strictEqual(status, 200, text)
  }).pipe(Effect.scoped, Effect.provide(NodeFileSystem.layer))
)

it.live("an upload that goes silent is cut with 408, and nothing of it is kept", () =>
  Effect.gen(function* () {
    const { json, upload, uploads } = yield* start({ maxStall: "1 second" })
    for (const { answer } of [yield* upload, yield* json]) assert.deepStrictEqual(yield* answer, tooLong)
    assert.deepStrictEqual(yield* uploads.pipe(eventually("no upload", (names) => names.length === 0)), [])
  }).pipe(Effect.scoped, Effect.provide(NodeFileSystem.layer))
)
