import * as NodeServices from "@effect/platform-node/NodeServices"
import { assert, layer } from "@effect/vitest"
import { Effect, FileSystem } from "effect"
import { ChildProcess, ChildProcessSpawner } from "effect/process"
import * as DataFolder from "../../../src/server/storage/DataFolder.ts"

/** Takes the lock, or prints why it cannot. */
const lockElsewhere = `
  const { DatabaseSync } = require("node:sqlite")
  try {
    new DatabaseSync(process.argv[1], { timeout: 0 }).exec("BEGIN EXCLUSIVE")
  } catch (error) {
    process.stdout.write(error.message)
  }
`

layer(NodeServices.layer)("DataFolder", (it) => {
  it.effect("refusing a second server in the same process keeps the lock", () =>
    Effect.gen(function* () {
      const fs = yield* FileSystem.FileSystem
      const spawner = yield* ChildProcessSpawner.ChildProcessSpawner
      const data = yield* fs.makeTempDirectoryScoped()
      yield* DataFolder.make({ data })
      yield* Effect.flip(Effect.scoped(DataFolder.make({ data })))
      const said = yield* spawner.string(ChildProcess.make(process.execPath, ["-e", lockElsewhere, `${data}/lock.db`]))
      assert.strictEqual(said, "database is locked")
    })
  )
})
