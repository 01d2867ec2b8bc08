/**
 * The sessions of an app, page by page.
 *
 * A page is found by its key, not by an open cursor, which would keep the database from clearing its write-ahead log.
 */
import { Effect, Option, Schema } from "effect"
import type { SqlClient } from "effect/sql"

/** Which sessions of an app to list. */
export interface Request {
  readonly appId: number
  readonly includeClosed: boolean
  /** The most that are returned. */
  readonly limit: number
  /** Where the page before ended: `next` of that. */
  readonly before?: number | undefined
  /** The strings that their meta must have, by name. */
  readonly meta?: ReadonlyMap<string, string> | undefined
}

/** Some sessions. There can be more even where it has fewer than the limit. */
export interface Page<Session> {
  readonly sessions: ReadonlyArray<Session>
  /** Where the next page begins; undefined after the last one. */
  readonly next: number | undefined
}

/** How many rows are read at once: a statement blocks the thread. */
const readAtOnce = 500

/** How many rows are read for one page, where few of them match. */
const maxRead = 10_000

const isRecord = Schema.is(Schema.Record(Schema.String, Schema.Unknown))
const parseMeta = Option.liftThrowable((text: string): unknown => JSON.parse(text))

/** Whether the meta of a row, as JSON, has these strings. */
const hasStrings = (json: string | null, strings: ReadonlyMap<string, string>): boolean => {
  if (strings.size === 0) return true
  const meta = Option.getOrUndefined(parseMeta(json ?? "null"))
  return isRecord(meta) && [...strings].every(([name, value]) => Object.hasOwn(meta, name) && meta[name] === value)
}

interface Row {
  readonly seq: number
  readonly meta: string | null
}

/** Reads pages of the sessions that `decode` makes of rows. */
export const make = <Session, E>(sql: SqlClient.SqlClient, decode: (row: Row) => Effect.Effect<Session, E>) => {
  const rowsBefore = (of: Request, position: number | undefined, limit: number) => {
    const conditions = [
      sql`app_id = ${of.appId}`,
      ...(position === undefined ? [] : [sql`seq < ${position}`]),
      ...(of.includeClosed ? [] : [sql`closed_at IS NULL`])
    ]
    return sql<Row>`SELECT * FROM sessions WHERE ${sql.and(conditions)} ORDER BY seq DESC LIMIT ${limit}`
  }

  return Effect.fnUntraced(function* (of: Request) {
    const meta = of.meta ?? new Map<string, string>()
    const sessions: Array<Session> = []
    const page = (next: number | undefined): Page<Session> => ({ sessions, next })
    let position = of.before
    for (let read = 0; read < maxRead; read += readAtOnce) {
      const wanted = meta.size === 0 ? Math.min(readAtOnce, of.limit - sessions.length + 1) : readAtOnce
      const rows = yield* rowsBefore(of, position, wanted)
      for (const row of rows) {
        if (hasStrings(row.meta, meta)) {
          if (sessions.length === of.limit) return page(position)
          sessions.push(yield* decode(row))
        }
        position = row.seq
      }
      if (rows.length < wanted) return page(undefined)
    }
    return page(position)
  })
}
