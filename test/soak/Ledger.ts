/**
 * Reads a ledger, and checks that it is consistent with itself and with the files in the data folder.
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

/** The sessions in the ledger, by id. */
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

/** Sweeps run once a minute, and take some time. */
const sweepMillis = 90_000

/** Counts that must be 0 when the server is idle, by name. */
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
    const countUnknown = (folder: string, known: ReadonlySet<string>) =>
      readdirSync(`${data}/${folder}`).filter((name) => !known.has(name)).length
    const sweptBefore = Date.now() - sweepMillis
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
      "sessions overdue": count(`sessions WHERE closed_at < ${sweptBefore - hardTtlMillis}`),
      "answers overdue": count(`kept_answers WHERE at < ${sweptBefore - hardTtlMillis}`),
      "uploads overdue": count(`uploads WHERE expires_at < ${sweptBefore}`),
      "uploads without a file": [...uploads].filter((name) => !files.has(name)).length,
      "files without an upload": countUnknown("uploads", uploads),
      "folders without a session": countUnknown(
        "sessions",
        names("SELECT session_id AS name FROM sessions WHERE closed_at IS NULL")
      ),
      "folders of runs": countUnknown("runs", new Set()),
      // One is the server's own.
      "records of agents": readdirSync(`${data}/agents`).length - 1
    }
  })

/** The number of rows that are kept for ninety days, even after their sessions are deleted. */
export const auditRowsIn = (data: string): number =>
  read(data, (database) =>
    Number(
      database.prepare("SELECT (SELECT COUNT(*) FROM session_events) + (SELECT COUNT(*) FROM runs) AS n").get()?.["n"]
    )
  )
