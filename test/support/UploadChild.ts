/**
 * A program of its own that uploads, and tells by how much its memory grew: `UploadChild.ts URL path|stream FOLDER`.
 */
import * as NodeServices from "@effect/platform-node/NodeServices"
import { Effect, Redacted, Stream } from "effect"
import { writeFileSync } from "node:fs"
import { Forge, Upload } from "../../src/index.ts"
import { NodeForgeClient } from "../../src/node/index.ts"

const [url = "", kind = "", folder = ""] = process.argv.slice(2)

const megabyte = 1024 * 1024

const stream = (size: number) =>
  Effect.succeed(
    Upload.fromStream("big", Stream.take(Stream.forever(Stream.make(new Uint8Array(megabyte / 16))), size * 16))
  )

const path = (size: number) =>
  Effect.suspend(() => {
    const file = `${folder}/${size}`
    const content = new Uint8Array(megabyte)
    writeFileSync(file, "")
    for (let written = 0; written < size; written++) writeFileSync(file, content, { flag: "a" })
    return Upload.fromPath(file)
  })

/** The most memory that this process ever had, in MB. */
const most = Effect.sync(() => process.resourceUsage().maxRSS / 1024)

const program = Effect.gen(function* () {
  const sourceOf = kind === "path" ? path : stream
  const small = yield* sourceOf(20)
  const large = yield* sourceOf(200)
  // As much in small files: until the heap has the size that garbage is collected at, whatever is sent.
  yield* Effect.repeat(Forge.upload(small), { times: 20 })
  const before = yield* most
  yield* Forge.upload(large)
  console.log((yield* most) - before)
})

await Effect.runPromise(
  program.pipe(
    Effect.provide(NodeForgeClient.layer({ url, token: Redacted.make("cf_test-token") })),
    Effect.provide(NodeServices.layer)
  )
)
