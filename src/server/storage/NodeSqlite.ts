/**
 * A `SqlClient` over Node's own SQLite, so that nothing native has to be built.
 *
 * There is one connection with one permit: all other statements wait for an open transaction. A statement blocks the
 * calling thread until it ends, so each has to be short.
 */
import { Effect, Layer, Predicate, Semaphore, Stream } from "effect"
import * as Reactivity from "effect/reactivity/Reactivity"
import { SqlClient, type SqlConnection, SqlError, Statement } from "effect/sql"
import { DatabaseSync, type SQLInputValue, type StatementSync } from "node:sqlite"

export interface Durability {
  /**
   * Whether writes also survive a loss of power, at the cost of waiting for the disk. They survive the death of the process
   * in any case.
   */
  readonly durable?: boolean | undefined
}

export interface Options extends Durability {
  readonly filename: string
}

const parameter = (value: unknown): SQLInputValue => {
  switch (typeof value) {
    case "string":
    case "number":
    case "bigint":
      return value
    case "boolean":
      return value ? 1 : 0
    default:
      return value instanceof Uint8Array ? value : null
  }
}

/** SQLite's code for a violated primary key; other databases report a unique violation, which our callers expect. */
const primaryKeyTaken = 1555
const uniqueViolated = 2067

/** An error of SQLite, with its code where the classification looks for it. */
const sqlError = (cause: unknown) => {
  const code = Predicate.hasProperty(cause, "errcode") ? cause.errcode : undefined
  const errno = code === primaryKeyTaken ? uniqueViolated : code
  const message = cause instanceof Error ? cause.message : "the statement failed"
  return new SqlError.SqlError({ reason: SqlError.classifySqliteError({ errno, cause }, { message }) })
}

/**
 * How long a statement waits for another process, such as a backup, that has locked the database. It is short because the
 * whole server waits with it.
 */
const busyMillis = 250

const open = (options: Options) =>
  Effect.acquireRelease(
    Effect.try({
      try: () => {
        const database = new DatabaseSync(options.filename, { timeout: busyMillis })
        const synchronous = options.durable === true ? "FULL" : "NORMAL"
        database.exec(`PRAGMA journal_mode = WAL; PRAGMA synchronous = ${synchronous}`)
        // What is deleted is overwritten, so that no text of it stays in the file.
        database.exec("PRAGMA secure_delete = ON")
        return database
      },
      catch: sqlError
    }),
    (database) => Effect.sync(() => database.close())
  )

const connect = (database: DatabaseSync): SqlConnection.Connection => {
  const prepared = new Map<string, StatementSync>()
  const prepare = (sql: string) => {
    const known = prepared.get(sql)
    if (known !== undefined) return known
    const statement = database.prepare(sql)
    prepared.set(sql, statement)
    return statement
  }
  const run = (statement: () => StatementSync, params: ReadonlyArray<unknown>, arrays: boolean) =>
    Effect.try({
      try: () => {
        const ready = statement()
        ready.setReturnArrays(arrays)
        return ready.all(...params.map(parameter))
      },
      catch: sqlError
    })
  const rows =
    (prepare: (sql: string) => StatementSync): SqlConnection.Connection["execute"] =>
    (sql, params, transform) => {
      const found = run(() => prepare(sql), params, false)
      return transform === undefined ? found : Effect.map(found, transform)
    }
  // With `setReturnArrays` a row is an array, which Node's types do not say.
  const values =
    (prepare: (sql: string) => StatementSync): SqlConnection.Connection["executeValues"] =>
    (sql, params) =>
      Effect.map(
        run(() => prepare(sql), params, true),
        (found) => found.map(Object.values)
      )
  const prepareOnce = (sql: string) => database.prepare(sql)
  return {
    execute: rows(prepare),
    executeRaw: (sql, params) => run(() => prepare(sql), params, false),
    executeStream: () => Stream.die("this connection does not stream"),
    executeValues: values(prepare),
    executeValuesUnprepared: values(prepareOnce),
    executeUnprepared: rows(prepareOnce)
  }
}

export const make = Effect.fnUntraced(function* (options: Options) {
  const database = yield* open(options)
  return yield* SqlClient.make({
    ...SqlClient.makeSqliteAcquirers({
      connection: Effect.succeed(connect(database)),
      semaphore: Semaphore.makeUnsafe(1),
      isTransaction: () => database.isTransaction
    }),
    compiler: Statement.makeCompilerSqlite(),
    driver: "node-sqlite",
    beginTransaction: "BEGIN IMMEDIATE",
    releaseSavepoint: (name) => `RELEASE SAVEPOINT ${name}`,
    prepareTransactionControls: true,
    spanAttributes: [["db.system.name", "sqlite"]]
  })
})

export const layer = (options: Options): Layer.Layer<SqlClient.SqlClient, SqlError.SqlError> =>
  Layer.effect(SqlClient.SqlClient, make(options)).pipe(Layer.provide(Reactivity.layer))
