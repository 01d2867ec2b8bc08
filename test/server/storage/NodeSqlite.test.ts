import * as NodeServices from "@effect/platform-node/NodeServices"
import { assert, describe, it, layer } from "@effect/vitest"
import { Context, Effect, Fiber, FileSystem, Layer } from "effect"
import { SqlClient, type SqlError } from "effect/sql"
import { TestClock } from "effect/testing"
import { DatabaseSync } from "node:sqlite"
import * as NodeSqlite from "../../../src/server/storage/NodeSqlite.ts"
import { memory } from "./Support.ts"

/** What SQLite calls NORMAL and FULL (https://www.sqlite.org/pragma.html#pragma_synchronous). */
const normal = 1
const full = 2

const makeFolder = FileSystem.FileSystem.use((fs) => fs.makeTempDirectoryScoped())

/** Does something with a database, which is closed then. */
const withDatabase = <A, E>(options: NodeSqlite.Options, use: (sql: SqlClient.SqlClient) => Effect.Effect<A, E>) =>
  Effect.provide(SqlClient.SqlClient.use(use), NodeSqlite.layer(options))

/** A database with a table, and another connection that can lock it. */
const lockable = Effect.gen(function* () {
  const filename = `${yield* makeFolder}/ledger.db`
  const context = yield* Layer.build(NodeSqlite.layer({ filename }))
  const sql = Context.get(context, SqlClient.SqlClient)
  yield* sql`CREATE TABLE t (id INTEGER)`
  const other = yield* Effect.acquireRelease(
    Effect.sync(() => new DatabaseSync(filename, { timeout: 0 })),
    (database) => Effect.sync(() => database.close())
  )
  /** Locks it, and returns what releases it. */
  const locked = Effect.sync(() => {
    other.exec("BEGIN EXCLUSIVE")
    return Effect.sync(() => other.exec("ROLLBACK"))
  })
  return { sql, locked, end: Context.get(context, NodeSqlite.LockWait).end }
})

layer(NodeServices.layer)("the ledger's database", (it) => {
  it.effect("a database waits for the disk only if it is durable", () =>
    Effect.gen(function* () {
      const filename = `${yield* makeFolder}/ledger.db`
      const synchronous = (durable: boolean | undefined) =>
        withDatabase({ filename, durable }, (sql) =>
          Effect.map(sql`PRAGMA synchronous`, (rows) => rows[0]?.["synchronous"])
        )
      assert.strictEqual(yield* synchronous(undefined), normal)
      assert.strictEqual(yield* synchronous(true), full)
    })
  )

  it.effect("SQLite does not wait for a lock itself, since the thread would wait with it", () =>
    Effect.gen(function* () {
      const filename = `${yield* makeFolder}/ledger.db`
      const rows = yield* withDatabase({ filename }, (sql) => sql`PRAGMA busy_timeout`.values)
      assert.deepStrictEqual(rows, [[0]])
    })
  )

  const insert = (sql: SqlClient.SqlClient) => sql`INSERT INTO t VALUES (1)`
  const writes: Readonly<Record<string, (sql: SqlClient.SqlClient) => Effect.Effect<unknown, SqlError.SqlError>>> = {
    statement: insert,
    transaction: (sql) => sql.withTransaction(insert(sql))
  }
  for (const [what, write] of Object.entries(writes)) {
    it.effect(`a ${what} is tried again until another process has released its lock, and reads go on meanwhile`, () =>
      Effect.gen(function* () {
        const { locked, sql } = yield* lockable
        const release = yield* locked
        const writing = yield* Effect.forkChild(write(sql), { startImmediately: true })
        yield* TestClock.adjust("9 seconds")
        assert.isUndefined(writing.pollUnsafe())
        assert.deepStrictEqual(yield* sql`SELECT * FROM t`.values, [])
        yield* release
        yield* TestClock.adjust("100 millis")
        yield* Fiber.join(writing)
        assert.deepStrictEqual(yield* sql`SELECT * FROM t`.values, [[1]])
      })
    )

    it.effect(`a ${what} fails after ten seconds of a lock, and has written nothing`, () =>
      Effect.gen(function* () {
        const { locked, sql } = yield* lockable
        const release = yield* locked
        const writing = yield* Effect.forkChild(Effect.flip(write(sql)), { startImmediately: true })
        yield* TestClock.adjust("10 seconds")
        assert.isUndefined(writing.pollUnsafe())
        yield* TestClock.adjust("100 millis")
        assert.strictEqual((yield* Fiber.join(writing)).reason._tag, "LockTimeoutError")
        yield* release
        assert.deepStrictEqual(yield* sql`SELECT * FROM t`.values, [])
      })
    )

    it.effect(`a ${what} fails at once when its server has to end`, () =>
      Effect.gen(function* () {
        const { end, locked, sql } = yield* lockable
        const release = yield* locked
        const writing = yield* Effect.forkChild(Effect.flip(write(sql)), { startImmediately: true })
        yield* TestClock.adjust("1 second")
        yield* end
        yield* TestClock.adjust("100 millis")
        assert.strictEqual((yield* Fiber.join(writing)).reason._tag, "LockTimeoutError")
        yield* release
      })
    )
  }

  it.effect("a statement that fails for another reason is not tried again", () =>
    Effect.gen(function* () {
      const { sql } = yield* lockable
      assert.strictEqual((yield* Effect.flip(sql`INSERT INTO missing VALUES (1)`)).reason._tag, "UnknownError")
    })
  )

  it.effect("no other process can write from the beginning of a transaction on", () =>
    Effect.gen(function* () {
      const filename = `${yield* makeFolder}/ledger.db`
      const write = Effect.sync(() => {
        const other = new DatabaseSync(filename, { timeout: 0 })
        try {
          other.exec("CREATE TABLE t (id INTEGER)")
          return "written"
        } catch (error) {
          return String(error)
        } finally {
          other.close()
        }
      })
      const said = yield* withDatabase({ filename }, (sql) => sql.withTransaction(write))
      assert.include(said, "database is locked")
      assert.strictEqual(yield* write, "written")
    })
  )

  it.effect("a closed database is one file", () =>
    Effect.gen(function* () {
      const fs = yield* FileSystem.FileSystem
      const folder = yield* makeFolder
      yield* withDatabase({ filename: `${folder}/ledger.db` }, (sql) => sql`CREATE TABLE t (id INTEGER)`)
      assert.deepStrictEqual(yield* fs.readDirectory(folder), ["ledger.db"])
    })
  )
})

describe("NodeSqlite", () => {
  it.effect("a transaction that fails leaves nothing, and the connection goes on", () =>
    Effect.gen(function* () {
      const sql = yield* SqlClient.SqlClient
      yield* sql`CREATE TABLE t (id INTEGER PRIMARY KEY, name TEXT UNIQUE)`
      const failed = yield* sql`INSERT INTO t (name) VALUES ('a')`.pipe(
        Effect.andThen(sql`INSERT INTO t (name) VALUES ('a')`),
        sql.withTransaction,
        Effect.flip
      )
      assert.strictEqual(failed.reason._tag, "UniqueViolation")
      assert.deepStrictEqual(yield* sql`SELECT * FROM t`.values, [])
      yield* sql`INSERT INTO t (id, name) VALUES (${1}, ${"a"})`
      const taken = yield* Effect.flip(sql`INSERT INTO t (id, name) VALUES (${1}, ${"b"})`)
      assert.strictEqual(taken.reason._tag, "UniqueViolation")
      assert.deepStrictEqual(yield* sql`SELECT id, name FROM t`.values, [[1, "a"]])
      assert.deepStrictEqual(yield* sql`SELECT ${true} AS yes, ${null} AS none`, [
        Object.assign(Object.create(null), { yes: 1, none: null })
      ])
    }).pipe(Effect.provide(memory))
  )

  it.effect("twenty transactions at once do not lose a write", () =>
    Effect.gen(function* () {
      const sql = yield* SqlClient.SqlClient
      yield* sql`CREATE TABLE t (n INTEGER)`
      yield* sql`INSERT INTO t VALUES (0)`
      const increment = Effect.gen(function* () {
        const [row] = yield* sql<{ readonly n: number }>`SELECT n FROM t`
        yield* Effect.yieldNow
        yield* sql`UPDATE t SET n = ${(row?.n ?? 0) + 1}`
      }).pipe(sql.withTransaction)
      yield* Effect.all(
        Array.from({ length: 20 }, () => increment),
        { concurrency: "unbounded" }
      )
      assert.deepStrictEqual(yield* sql`SELECT n FROM t`.values, [[20]])
    }).pipe(Effect.provide(memory))
  )
})
