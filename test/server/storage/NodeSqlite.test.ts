import * as NodeServices from "@effect/platform-node/NodeServices"
import { assert, layer } from "@effect/vitest"
import { Effect, FileSystem } from "effect"
import { SqlClient } from "effect/sql"
import * as NodeSqlite from "../../../src/server/storage/NodeSqlite.ts"

/** What SQLite calls NORMAL and FULL (https://www.sqlite.org/pragma.html#pragma_synchronous). */
const normal = 1
const full = 2

layer(NodeServices.layer)("the ledger's database", (it) => {
  it.effect("waits for the disk where it is to outlive a loss of power, and not otherwise", () =>
    Effect.gen(function* () {
      const fs = yield* FileSystem.FileSystem
      const filename = `${yield* fs.makeTempDirectoryScoped()}/ledger.db`
      const synchronous = (durable: boolean | undefined) =>
        SqlClient.SqlClient.use((sql) => sql`PRAGMA synchronous`).pipe(
          Effect.map((rows) => rows[0]?.["synchronous"]),
          Effect.provide(NodeSqlite.layer({ filename, durable }))
        )
      assert.strictEqual(yield* synchronous(undefined), normal)
      assert.strictEqual(yield* synchronous(true), full)
    })
  )
})
