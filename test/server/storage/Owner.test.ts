import * as NodeCrypto from "@effect/platform-node/NodeCrypto"
import * as NodeServices from "@effect/platform-node/NodeServices"
import { assert, layer } from "@effect/vitest"
import { Effect, FileSystem, Layer } from "effect"
import * as DataFolder from "../../../src/server/storage/DataFolder.ts"
import * as Owner from "../../../src/server/storage/Owner.ts"
import { database } from "./Support.ts"

const ownerIn = (data: string) =>
  Owner.make.pipe(Effect.provide(Layer.fresh(database)), Effect.provide(DataFolder.layer({ data })), Effect.scoped)

layer(Layer.merge(NodeServices.layer, NodeCrypto.layer))("Owner", (it) => {
  it.effect("the id of a server is made once for its data folder, and its file is private", () =>
    Effect.gen(function* () {
      const fs = yield* FileSystem.FileSystem
      const [one, two] = [yield* fs.makeTempDirectoryScoped(), yield* fs.makeTempDirectoryScoped()]
      const { id } = yield* ownerIn(one)
      assert.strictEqual((yield* ownerIn(one)).id, id)
      assert.notStrictEqual((yield* ownerIn(two)).id, id)
      assert.strictEqual((yield* fs.stat(`${one}/owner`)).mode & 0o777, 0o600)
    })
  )

  it.effect("an id that was not written completely is made again, but a malformed one is never replaced", () =>
    Effect.gen(function* () {
      const fs = yield* FileSystem.FileSystem
      const data = yield* fs.makeTempDirectoryScoped()
      yield* fs.writeFileString(`${data}/ledger.db`, "")
      yield* fs.writeFileString(`${data}/owner.new`, "half")
      yield* ownerIn(data)
      assert.isFalse(yield* fs.exists(`${data}/owner.new`))
      const id = yield* fs.readFileString(`${data}/owner`)
      yield* fs.writeFileString(`${data}/owner`, `${id}\n`)
      assert.strictEqual((yield* ownerIn(data)).id, id, "a line break at its end, as editors add it")
      yield* fs.writeFileString(`${data}/owner`, "not an id")
      const { message } = yield* Effect.flip(ownerIn(data))
      assert.strictEqual(message, `the id of this server in ${data}/owner cannot be used: it is not an id`)
    })
  )
})
