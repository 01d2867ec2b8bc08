/**
 * A program that uploads, and prints by how much its memory grew: `UploadChild.ts URL path|stream FOLDER`.
 */
import * as NodeServices from "@effect/platform-node/NodeServices"
import { Effect, Redacted, Stream } from "effect"
import { writeFileSync } from "node:fs"
import { Forge, Upload } from "../../src/index.ts"
import { NodeForgeClient } from "../../src/node/index.ts"

const [url = "", kind = "", folder = ""] = process.argv.slice(2)

const megabyte = 1024 * 1024

/** New memory for each part, so that keeping the parts shows. */
const fresh = Effect.sync(() => new Uint8Array(megabyte / 16))

const stream = (size: number) =>
  Effect.succeed(Upload.fromStream("big", Stream.take(Stream.fromEffectRepeat(fresh), size * 16)))

const path = (size: number) =>
  Effect.suspend(() => {
    const file = `${folder}/${size}`
    const content = new Uint8Array(megabyte)
    writeFileSync(file, "")
    for (let written = 0; written < size; written++) writeFileSync(file, content, { flag: "a" })
    return Upload.fromPath(file)
  })

/** The memory in use after a garbage collection, in MB. */
const inUse = () => {
  // The first leaves the memory of buffers to be freed in the background, which the second waits for.
  global.gc?.()
  global.gc?.()
  const { arrayBuffers, external, heapUsed } = process.memoryUsage()
  return (heapUsed + Math.max(external, arrayBuffers)) / megabyte
}

const program = Effect.gen(function* () {
  const sourceOf = kind === "path" ? path : stream
  const large = yield* sourceOf(200)
  yield* Forge.upload(yield* sourceOf(20))
  const before = inUse()
  let most = before
  let read = 0
  const look = (bytes: Uint8Array) =>
    Effect.sync(() => {
      const earlier = read
      read += bytes.byteLength
      // At each 10 MB of the 200.
      if (Math.floor(read / (10 * megabyte)) > Math.floor(earlier / (10 * megabyte))) most = Math.max(most, inUse())
    })
  yield* Forge.upload({ ...large, content: Stream.tap(large.content, look) })
  console.log(most - before)
})

await Effect.runPromise(
  program.pipe(
    Effect.provide(NodeForgeClient.layer({ url, token: Redacted.make("cf_test-token") })),
    Effect.provide(NodeServices.layer)
  )
)
