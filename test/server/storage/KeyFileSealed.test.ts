import * as NodeCrypto from "@effect/platform-node/NodeCrypto"
import * as NodeServices from "@effect/platform-node/NodeServices"
import { assert, layer } from "@effect/vitest"
import { Effect, FileSystem, Layer, Option } from "effect"
import * as DataFolder from "../../../src/server/storage/DataFolder.ts"
import * as KeyFileSealed from "../../../src/server/storage/KeyFileSealed.ts"
import { Sealed } from "../../../src/server/storage/Sealed.ts"

layer(Layer.merge(NodeServices.layer, NodeCrypto.layer))("sealed secrets", (it) => {
  /** Those of a data folder. */
  const of = (data: string) =>
    Effect.provide(
      Effect.map(Sealed, (sealed) => sealed),
      Layer.provide(KeyFileSealed.layer, DataFolder.layer({ data })),
      { local: true }
    )

  it.effect("are opened with the same key and for the same session alone", () =>
    Effect.gen(function* () {
      const fs = yield* FileSystem.FileSystem
      const [data, other] = [yield* fs.makeTempDirectoryScoped(), yield* fs.makeTempDirectoryScoped()]
      const sealed = yield* of(data)
      const [one, two] = [yield* sealed.seal("canary", "s-1"), yield* sealed.seal("canary", "s-1")]
      assert.notInclude(one + atob(one), "canary")
      assert.notStrictEqual(one, two)
      assert.deepStrictEqual(yield* sealed.open(one, "s-1"), Option.some("canary"))
      assert.deepStrictEqual(yield* sealed.open(one, "s-2"), Option.none())
      const changed = `${one.startsWith("A") ? "B" : "A"}${one.slice(1)}`
      assert.deepStrictEqual(yield* sealed.open(changed, "s-1"), Option.none())
      assert.deepStrictEqual(yield* sealed.open("", "s-1"), Option.none())
      // After a restart, and in another folder.
      assert.deepStrictEqual(yield* (yield* of(data)).open(one, "s-1"), Option.some("canary"))
      assert.deepStrictEqual(yield* (yield* of(other)).open(one, "s-1"), Option.none())
      assert.strictEqual((yield* fs.stat(`${data}/key`)).mode & 0o777, 0o600)
    })
  )

  it.effect("a key that is none keeps the server from starting", () =>
    Effect.gen(function* () {
      const fs = yield* FileSystem.FileSystem
      const data = yield* fs.makeTempDirectoryScoped()
      yield* of(data)
      yield* fs.writeFileString(`${data}/key`, "short")
      const failed = yield* Effect.flip(of(data))
      assert.include(failed.message, "the key of the data folder cannot be used: ")
    })
  )
})
