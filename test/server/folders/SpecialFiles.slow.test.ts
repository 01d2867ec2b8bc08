import * as NodeCrypto from "@effect/platform-node/NodeCrypto"
import * as NodeServices from "@effect/platform-node/NodeServices"
import { assert, layer } from "@effect/vitest"
import { Effect, FileSystem, Layer, Stream } from "effect"
import { execFileSync } from "node:child_process"
import { invalidPath, Folders } from "../../../src/server/folders/Folders.ts"
import * as LinuxFolders from "../../../src/server/folders/LinuxFolders.ts"

const services = Layer.provideMerge(LinuxFolders.layer, Layer.merge(NodeCrypto.layer, NodeServices.layer))

layer(services)("special files in a folder", (it) => {
  it.effect("a pipe is not waited for, listed as what it is, and replaced by a write", () =>
    Effect.gen(function* () {
      const fs = yield* FileSystem.FileSystem
      const folders = yield* Folders
      const folder = yield* fs.makeTempDirectoryScoped()
      execFileSync("mkfifo", [`${folder}/pipe`])
      const notAFile = invalidPath("is not a file")
      assert.deepStrictEqual(yield* Effect.flip(Effect.scoped(folders.open(folder, "pipe"))), notAFile)
      const { entries } = yield* folders.list(folder, { path: "", depth: 1 })
      assert.deepStrictEqual(
        entries.map(({ kind, path }) => [path, kind]),
        [["pipe", "other"]]
      )
      yield* folders.write(folder, { path: "pipe", condition: {}, content: Stream.make(new Uint8Array(1)) })
      assert.strictEqual((yield* fs.stat(`${folder}/pipe`)).type, "File")
    })
  )
})
