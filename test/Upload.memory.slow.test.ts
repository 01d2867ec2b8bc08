import * as NodeServices from "@effect/platform-node/NodeServices"
import { assert, describe, it } from "@effect/vitest"
import { Effect, FileSystem } from "effect"
import { createServer } from "node:http"
import type { AddressInfo } from "node:net"
import { run } from "./house/Workspace.ts"

/** A server that counts what is uploaded, and keeps nothing of it. */
const counting = Effect.gen(function* () {
  let largest = 0
  const server = createServer((request, response) => {
    let size = 0
    request.on("data", (bytes: Buffer) => (size += bytes.byteLength))
    request.on("end", () => {
      largest = Math.max(largest, size)
      response.setHeader("content-type", "application/json")
      response.end(JSON.stringify({ file_token: "ff_counted", ttl_secs: 60, size }))
    })
  })
  yield* Effect.acquireRelease(
    Effect.callback<void>((resume) => {
      server.listen(0, "127.0.0.1", () => resume(Effect.void))
    }),
    () => Effect.callback<void>((resume) => void server.close(() => resume(Effect.void)))
  )
  const { port } = server.address() as AddressInfo
  return { url: `http://127.0.0.1:${port}`, largest: () => largest }
})

describe("an upload of 200 MB grows memory by less than 10 MB", () => {
  for (const kind of ["stream", "path"]) {
    it.live(`from a ${kind}`, () =>
      Effect.gen(function* () {
        const fs = yield* FileSystem.FileSystem
        const folder = yield* fs.makeTempDirectoryScoped()
        const server = yield* counting
        const child = ["--expose-gc", "test/support/UploadChild.ts", server.url, kind, folder]
        const { code, output } = yield* run(".", process.execPath, child)
        assert.strictEqual(code, 0, output)
        assert.isAbove(server.largest(), 200 * 1024 * 1024)
        assert.isBelow(Number(output), 10)
      }).pipe(Effect.scoped, Effect.provide(NodeServices.layer))
    )
  }
})
