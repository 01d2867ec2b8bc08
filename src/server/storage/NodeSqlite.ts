/**
 * A `SqlClient` over Node's own SQLite, so that nothing native has to be built.
 *
 * There is one connection with one permit: all other statements wait for an open transaction. A statement blocks the
 * calling thread until it ends, so each has to be short. One that finds the database locked by another process is tried again
 * for a while, without blocking the thread in between.
 */
import { Context, Duration, Effect, Layer, Predicate, Schedule, Semaphore, Stream } from "effect"
import * as Reactivity from "effect/reactivity/Reactivity"
import { SqlClient, type SqlConnection, SqlError, Statement } from "effect/sql"
import { DatabaseSync, type SQLInputValue, type StatementSync } from "node:sqlite"

export interface Settings {
  /**
   * Whether writes also survive a loss of power, at the cost of waiting for the disk. They survive the death of the process
   * in any case.
   */
  readonly durable?: boolean | undefined
  /**
   * How long a statement or a transaction is tried while another process, such as a backup, has locked the database; 10
   * seconds if not given.
   */
  readonly lockWait?: Duration.Input | undefined
}

export interface Options extends Settings {
  readonly filename: string
}

/** The wait for a database that another process has locked. */
export class LockWait extends Context.Service<
  LockWait,
  {
    /** From now on a locked database fails at once: for a server that has to end. */
    readonly end: Effect.Effect<void>
  }
>()("effect-clawdforge/server/storage/NodeSqlite/LockWait") {}

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

/** The pauses between the tries of what finds the database locked. */
const pauses = Schedule.min([Schedule.exponential("5 millis"), Schedule.spaced("100 millis")])

const isLocked = (error: unknown) => SqlError.isSqlError(error) && error.reason._tag === "LockTimeoutError"

/**
 * Tries again while the database is locked: nothing was done then. SQLite's own waiting would block the thread, and with it
 * the whole server.
 */
const untilUnlocked =
  ({ lockWait = "10 seconds" }: Settings, isEnding: () => boolean = () => false) =>
  <A, E, R>(effect: Effect.Effect<A, E, R>): Effect.Effect<A, E, R> =>
    Effect.retry(effect, {
      while: (error) => isLocked(error) && !isEnding(),
      schedule: Schedule.max([pauses, Schedule.during(Duration.fromInputUnsafe(lockWait))])
    })

const open = (options: Options) =>
  Effect.acquireRelease(
    Effect.try({ try: () => new DatabaseSync(options.filename, { timeout: 0 }), catch: sqlError }),
    (database) => Effect.sync(() => database.close())
  ).pipe(
    Effect.tap((database) =>
      Effect.try({
        try: () => {
          const synchronous = options.durable === true ? "FULL" : "NORMAL"
          database.exec(`PRAGMA journal_mode = WAL; PRAGMA synchronous = ${synchronous}`)
          // What is deleted is overwritten, so that no text of it stays in the file.
          database.exec("PRAGMA secure_delete = ON")
        },
        catch: sqlError
      }).pipe(untilUnlocked(options))
    )
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
  let isEnding = false
  const tried = untilUnlocked(options, () => isEnding)
  const acquirers = SqlClient.makeSqliteAcquirers({
    connection: Effect.succeed(connect(database)),
    semaphore: Semaphore.makeUnsafe(1),
    isTransaction: () => database.isTransaction
  })
  const client = yield* SqlClient.make({
    ...acquirers,
    // The permit is free in the pauses, so that reads go on.
    borrower: (use) => tried(acquirers.borrower(use)),
    compiler: Statement.makeCompilerSqlite(),
    driver: "node-sqlite",
    beginTransaction: "BEGIN IMMEDIATE",
    releaseSavepoint: (name) => `RELEASE SAVEPOINT ${name}`,
    prepareTransactionControls: true,
    spanAttributes: [["db.system.name", "sqlite"]]
  })
  // A transaction has the lock from its beginning on, so only its beginning can fail for it.
  const { withTransaction: once } = client
  const withTransaction: SqlClient.SqlClient["withTransaction"] = (effect) => tried(once(effect))
  const sql: SqlClient.SqlClient = Object.assign(client, { withTransaction })
  return Context.make(SqlClient.SqlClient, sql).pipe(
    Context.add(LockWait, {
      end: Effect.sync(() => {
        isEnding = true
      })
    })
  )
})

export const layer = (options: Options): Layer.Layer<LockWait | SqlClient.SqlClient, SqlError.SqlError> =>
  Layer.effectContext(make(options)).pipe(Layer.provide(Reactivity.layer))
