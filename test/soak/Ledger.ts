/**
 * What a ledger says, and whether it agrees with itself and with the files beside it.
 */
import { readdirSync } from "node:fs"
import { DatabaseSync } from "node:sqlite"

export interface Session {
  readonly isOpen: boolean
  readonly turns: number
}

const read = <A>(data: string, use: (database: DatabaseSync) => A): A => {
  const database = new DatabaseSync(`${data}/ledger.db`, { readOnly: true, timeout: 5_000 })
  const result = use(database)
  database.close()
  return result
}

/** The sessions that it knows, by id. */
export const sessionsIn = (data: string): ReadonlyMap<string, Session> =>
  read(data, (database) => {
    const rows = database.prepare("SELECT session_id, turn_count, closed_at FROM sessions").all()
    return new Map(
      rows.map((row) => [
        String(row["session_id"]),
        { isOpen: row["closed_at"] === null, turns: Number(row["turn_count"]) }
      ])
    )
  })

const eventsOf = (...kinds: ReadonlyArray<string>) =>
  `(SELECT COUNT(*) FROM session_events e WHERE e.session_id = s.session_id
     AND kind IN (${kinds.map((kind) => `'${kind}'`).join(", ")}))`

/** A sweep comes once a minute, and takes its time. */
const sweepMillis = 90_000

/** What must not be there when nothing is under way, by name: each is to be 0. */
export const faultsIn = (data: string, hardTtlMillis: number): Readonly<Record<string, number>> =>
  read(data, (database) => {
    const count = (from: string) => Number(database.prepare(`SELECT COUNT(*) AS n FROM ${from}`).get()?.["n"])
    const names = (sql: string) =>
      new Set(
        database
          .prepare(sql)
          .all()
          .map((row) => String(row["name"]))
      )
    const strangers = (folder: string, known: ReadonlySet<string>) =>
      readdirSync(`${data}/${folder}`).filter((name) => !known.has(name)).length
    const swept = Date.now() - sweepMillis
    const uploads = names("SELECT sha256 AS name FROM uploads")
    const files = new Set(readdirSync(`${data}/uploads`))
    return {
      "open sessions": count("sessions WHERE closed_at IS NULL"),
      "turns without an end": count("sessions WHERE in_turn <> 0"),
      "turns that do not add up": count(`sessions s WHERE turn_count <> ${eventsOf("turn")}`),
      "sessions without one opening and one end": count(
        `sessions s WHERE ${eventsOf("create")} <> 1 OR ${eventsOf("close", "sweep_close")} <> (closed_at IS NOT NULL)`
      ),
      "calls without an answer": count("kept_answers WHERE status IS NULL"),
      "sessions overdue": count(`sessions WHERE closed_at < ${swept - hardTtlMillis}`),
      "answers overdue": count(`kept_answers WHERE at < ${swept - hardTtlMillis}`),
      "uploads overdue": count(`uploads WHERE expires_at < ${swept}`),
      "uploads without a file": [...uploads].filter((name) => !files.has(name)).length,
      "files of no upload": strangers("uploads", uploads),
      "folders of no session": strangers(
        "sessions",
        names("SELECT session_id AS name FROM sessions WHERE closed_at IS NULL")
      ),
      "folders of runs": strangers("runs", new Set()),
      // One is of the server itself.
      "records of agents": readdirSync(`${data}/agents`).length - 1
    }
  })

/** The rows that are kept for ninety days, whatever becomes of the sessions. */
export const auditRowsIn = (data: string): number =>
  read(data, (database) =>
    Number(
      database.prepare("SELECT (SELECT COUNT(*) FROM session_events) + (SELECT COUNT(*) FROM runs) AS n").get()?.["n"]
    )
  )
