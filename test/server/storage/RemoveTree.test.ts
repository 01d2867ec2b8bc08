import * as NodeServices from "@effect/platform-node/NodeServices"
import { assert, layer } from "@effect/vitest"
import { Effect, FileSystem, Logger, type PlatformError } from "effect"
import * as RemoveTree from "../../../src/server/storage/RemoveTree.ts"
import { keeping } from "./Keeping.ts"

/** Whether a tree has a read-only folder, which only root can remove as it is. */
const isLocked = (folder: string): Effect.Effect<boolean, PlatformError.PlatformError, FileSystem.FileSystem> =>
  Effect.gen(function* () {
    const fs = yield* FileSystem.FileSystem
    if (((yield* fs.stat(folder)).mode & 0o200) === 0) return true
    const folders = (yield* fs.readDirectoryEntries(folder)).filter(({ type }) => type === "Directory")
    const locked = yield* Effect.filter(folders, ({ name }) => isLocked(`${folder}/${name}`))
    return locked.length > 0
  })

layer(NodeServices.layer)("RemoveTree", (it) => {
  it.effect("read-only folders are removed, and what links point to is left as it was", () =>
    Effect.gen(function* () {
      const fs = yield* FileSystem.FileSystem
      const root = yield* fs.makeTempDirectoryScoped()
      for (const folder of ["elsewhere", "tree", "tree/pkg", "tree/pkg/mod"]) {
        yield* fs.makeDirectory(`${root}/${folder}`)
        yield* fs.writeFileString(`${root}/${folder}/file`, "")
      }
      yield* fs.symlink(`${root}/elsewhere`, `${root}/tree/pkg/link`)
      for (const folder of ["elsewhere", "tree/pkg/mod", "tree/pkg"]) yield* fs.chmod(`${root}/${folder}`, 0o555)
      yield* Effect.addFinalizer(() => Effect.orDie(fs.chmod(`${root}/elsewhere`, 0o755)))
      const locked = (folder: string) => Effect.provideService(isLocked(folder), FileSystem.FileSystem, fs)
      const removeTree = yield* keeping(locked)(RemoveTree.make)
      yield* removeTree(`${root}/tree`)
      assert.isFalse(yield* fs.exists(`${root}/tree`))
      assert.strictEqual((yield* fs.stat(`${root}/elsewhere`)).mode & 0o777, 0o555)
      assert.isTrue(yield* fs.exists(`${root}/elsewhere/file`))
    })
  )

  it.effect(
    "a folder that cannot be removed is logged and left; the target of a link in its place is not changed",
    () =>
      Effect.gen(function* () {
        const fs = yield* FileSystem.FileSystem
        const root = yield* fs.makeTempDirectoryScoped()
        yield* fs.makeDirectory(`${root}/elsewhere`, { mode: 0o555 })
        yield* fs.symlink(`${root}/elsewhere`, `${root}/tree`)
        const logged: Array<unknown> = []
        const logger = Logger.layer([Logger.make(({ message }) => logged.push([message].flat()[0]))])
        const removeTree = yield* keeping(() => Effect.succeed(true))(RemoveTree.make)
        yield* Effect.provide(removeTree(`${root}/tree`), logger)
        assert.deepStrictEqual(logged, [`${root}/tree could not be removed`])
        assert.strictEqual((yield* fs.stat(`${root}/elsewhere`)).mode & 0o777, 0o555)
      })
  )
})
