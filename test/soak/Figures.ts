/**
 * What a server that has nothing to do holds: memory, handles, processes, files, and what its ledger says.
 */
import { Effect } from "effect"
import { readdirSync } from "node:fs"
import { DatabaseSync } from "node:sqlite"
import { processesIn } from "../server/Support.ts"

/** Numbers that must not grow, by name. */
export type Figures = Readonly<Record<string, number>>

/** By how much a figure may be higher without having grown: the memory is in megabytes. */
const slack: Readonly<Record<string, number>> = { "heap MB": 6, "RSS MB": 100, handles: 2, descriptors: 2 }

/** Figures of the whole past: told, not compared. */
const told = new Set(["sessions of the past", "events", "kept answers"])

const collect = Effect.promise(async () => {
  for (let round = 0; round < 4; round++) {
    globalThis.gc?.()
    await new Promise((resolve) => setTimeout(resolve, 50))
  }
})

const ledger = (data: string): Figures => {
  const database = new DatabaseSync(`${data}/ledger.db`, { readOnly: true })
  const number = (sql: string) => Number(database.prepare(`SELECT ${sql}`).get()?.["n"])
  const figures = {
    "open sessions": number("COUNT(*) AS n FROM sessions WHERE closed_at IS NULL"),
    "turns without an end": number("COALESCE(SUM(in_turn), 0) AS n FROM sessions"),
    "turns that do not add up": number(
      `COUNT(*) AS n FROM sessions s WHERE turn_count <>
        (SELECT COUNT(*) FROM session_events e WHERE e.session_id = s.session_id AND kind = 'turn')`
    ),
    "calls without an answer": number("COUNT(*) AS n FROM kept_answers WHERE status IS NULL"),
    "kept answers": number("COUNT(*) AS n FROM kept_answers"),
    "sessions of the past": number("COUNT(*) AS n FROM sessions"),
    events: number("COUNT(*) AS n FROM session_events")
  }
  database.close()
  return figures
}

/** Takes the figures, once the last processes are gone or half a minute is over. */
export const take = Effect.fnUntraced(function* (data: string) {
  for (let round = 0; round < 300 && processesIn(`${data}/`).length > 0; round++) yield* Effect.sleep("100 millis")
  yield* collect
  const { heapUsed, rss } = process.memoryUsage()
  const files = ["sessions", "runs", "uploads"].flatMap((name) =>
    readdirSync(`${data}/${name}`, { recursive: true }).map(String)
  )
  const figures: Figures = {
    "heap MB": Math.round(heapUsed / 1e5) / 10,
    "RSS MB": Math.round(rss / 1e6),
    handles: process.getActiveResourcesInfo().filter((name) => name !== "Timeout").length,
    timers: process.getActiveResourcesInfo().filter((name) => name === "Timeout").length,
    descriptors: readdirSync("/proc/self/fd").length,
    processes: processesIn(`${data}/`).length,
    files: files.length,
    ...ledger(data)
  }
  return figures
})

/** The figures that have grown. */
export const grown = (before: Figures, after: Figures): ReadonlyArray<string> =>
  Object.keys(after).filter((name) => !told.has(name) && (after[name] ?? 0) > (before[name] ?? 0) + (slack[name] ?? 0))
