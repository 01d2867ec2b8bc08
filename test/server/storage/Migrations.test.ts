import { assert, it } from "@effect/vitest"
import { Effect, Layer } from "effect"
import { SqlClient } from "effect/sql"
import * as Migrations from "../../../src/server/storage/Migrations.ts"
import { memory } from "./Support.ts"

it.effect("a ledger of a newer version is refused in one sentence, and left as it is", () =>
  Effect.gen(function* () {
    const sql = yield* SqlClient.SqlClient
    yield* Migrations.run
    const newer = Migrations.latest + 1
    yield* sql`INSERT INTO effect_sql_migrations (migration_id, name) VALUES (${newer}, 'later')`
    const failed = yield* Effect.flip(Effect.scoped(Layer.build(Migrations.layer)))
    assert.strictEqual(
      failed.message,
      `the ledger is of a newer version (${newer}) than this server knows (${Migrations.latest})`
    )
  }).pipe(Effect.provide(memory))
)
