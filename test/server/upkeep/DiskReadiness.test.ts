import * as NodeServices from "@effect/platform-node/NodeServices"
import { assert, describe, it } from "@effect/vitest"
import { ByteSize, Context, Effect, FileSystem, Layer } from "effect"
import { SqlClient } from "effect/sql"
import * as DataFolder from "../../../src/server/storage/DataFolder.ts"
import * as SqlLedger from "../../../src/server/storage/SqlLedger.ts"
import * as Migrations from "../../../src/server/storage/Migrations.ts"
import * as NodeSqlite from "../../../src/server/storage/NodeSqlite.ts"
import * as Readiness from "../../../src/server/upkeep/Readiness.ts"
import * as DiskReadiness from "../../../src/server/upkeep/DiskReadiness.ts"
import { ownedBy } from "../storage/Support.ts"
import * as Shutdown from "../../../src/server/Shutdown.ts"

const start = Effect.fnUntraced(function* (options: DiskReadiness.Options) {
  const fs = yield* FileSystem.FileSystem
  const data = yield* fs.makeTempDirectoryScoped()
  const context = yield* Layer.build(
    DiskReadiness.layer(options).pipe(
      Layer.provideMerge(Shutdown.layer),
      Layer.provide(SqlLedger.layer),
      Layer.provide(Migrations.layer),
      Layer.provide(ownedBy("this")),
      Layer.provideMerge(NodeSqlite.layer({ filename: ":memory:" })),
      Layer.provide(DataFolder.layer({ data }))
    )
  )
  const { check } = Context.get(context, Readiness.Readiness)
  return {
    state: Effect.match(check, { onSuccess: () => "ready", onFailure: ({ detail }) => detail }),
    shutdown: Context.get(context, Shutdown.Shutdown),
    sql: Context.get(context, SqlClient.SqlClient)
  }
})

const withServices = Effect.provide(NodeServices.layer)

describe("Readiness", () => {
  it.live("a server is ready until its shutdown begins", () =>
    Effect.gen(function* () {
      const { shutdown, state } = yield* start({})
      assert.deepStrictEqual([yield* state, yield* state], ["ready", "ready"])
      yield* shutdown.begin("1 second")
      assert.strictEqual(yield* state, "shutting down")
    }).pipe(Effect.scoped, withServices)
  )

  it.live("a server is not ready while its ledger cannot be written", () =>
    Effect.gen(function* () {
      const { sql, state } = yield* start({})
      yield* sql`PRAGMA query_only = ON`
      assert.strictEqual(yield* state, "the ledger cannot be written")
      yield* sql`PRAGMA query_only = OFF`
      assert.strictEqual(yield* state, "ready")
    }).pipe(Effect.scoped, withServices)
  )

  it.live("a server is not ready while its disk has too little free space", () =>
    Effect.gen(function* () {
      const { state } = yield* start({ minFreeDisk: ByteSize.petabytes(8) })
      assert.strictEqual(yield* state, "the disk is full")
    }).pipe(Effect.scoped, withServices)
  )
})
