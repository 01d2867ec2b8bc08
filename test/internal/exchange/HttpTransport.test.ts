/**
 * How a streamed body is sent: as it is read, and in a browser in one piece.
 */
import { assert, describe, it } from "@effect/vitest"
import { Data, Effect, Exit, Layer, Redacted, Stream } from "effect"
import { type HttpBody, HttpClient } from "effect/http"
import { Forge, ForgeClient, Upload } from "../../../src/index.ts"
import { inPage } from "../../support/Page.ts"
import * as MemoryResponse from "../../support/MemoryResponse.ts"

class Broken extends Data.TaggedError("Broken") {}

/** Uploads a file, and gives the bodies that the `HttpClient` was to send. */
const bodiesOf = Effect.fnUntraced(function* <E>(source: Upload.Source<E>) {
  const bodies: Array<HttpBody.HttpBody> = []
  const http = HttpClient.make((request) =>
    Effect.sync(() => {
      bodies.push(request.body)
      const body = JSON.stringify({ file_token: "ff_staged", ttl_secs: 3600, size: 5 })
      return MemoryResponse.make(request, { body: new TextEncoder().encode(body) })
    })
  )
  const client = ForgeClient.layer({ url: "http://forge.test", token: Redacted.make("cf_test-token") })
  const exit = yield* Effect.exit(Forge.upload(source)).pipe(
    Effect.provide(Layer.provide(client, Layer.succeed(HttpClient.HttpClient, http)))
  )
  return { bodies, exit }
})

const hello = Stream.encodeText(Stream.make("hel", "lo"))

describe("a streamed body", () => {
  it.effect("is sent while it is read", () =>
    Effect.gen(function* () {
      const { bodies } = yield* bodiesOf(Upload.fromStream("a.txt", hello))
      assert.deepStrictEqual(
        bodies.map(({ _tag }) => _tag),
        ["Stream"]
      )
    })
  )

  it.effect("is sent in one piece by a browser, which has no streams over HTTP/1.1", () =>
    Effect.gen(function* () {
      const { bodies, exit } = yield* bodiesOf(Upload.fromStream("a.txt", hello))
      assert.isTrue(Exit.isSuccess(exit))
      const [body] = bodies
      if (body?._tag !== "Uint8Array") return assert.fail(body?._tag)
      const text = new TextDecoder().decode(body.body)
      assert.match(text, /^--clawdforge-[^]*filename="a.txt"[^]*\r\n\r\nhello\r\n--clawdforge-[0-9a-f]{32}--\r\n$/)
      assert.match(body.contentType, /^multipart\/form-data; boundary=clawdforge-/)
    }).pipe(inPage("http://page.test"))
  )

  it.effect("is not sent by a browser where its source fails: the upload fails like the source", () =>
    Effect.gen(function* () {
      const source = Upload.fromStream("a.txt", Stream.concat(hello, Stream.fail(new Broken())))
      const { bodies, exit } = yield* bodiesOf(source)
      assert.isEmpty(bodies)
      assert.deepStrictEqual(exit, Exit.fail(new Broken()))
    }).pipe(inPage("http://page.test"))
  )
})
