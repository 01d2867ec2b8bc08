/**
 * What a server holds: memory, handles, processes and files.
 */
import { Effect, Schedule } from "effect"
import { readdirSync, readFileSync, rmSync, statSync } from "node:fs"
import { join } from "node:path"
import * as Processes from "../support/Processes.ts"
import type { Served } from "./Servers.ts"

/** With these flags and variables of a server, its memory is what it holds, and not what it has not let go of yet. */
export const watched = (heap: string) => ({
  node: ["--expose-gc", "--import", "./test/conformance/fixtures/Heap.ts"],
  env: { CONFORMANCE_HEAP: heap }
})

export interface Figures {
  /** Bytes of its heap after a collection, and of all its memory. */
  readonly heap: number
  readonly memory: number
  readonly handles: number
  readonly processes: number
  /** The files of its data folder, and the bytes of its ledger, which keeps what it is told for ninety days. */
  readonly files: number
  readonly ledger: number
}

const memoryOf = (pid: number) =>
  Number(/^VmRSS:\s+(\d+)/m.exec(readFileSync(`/proc/${pid}/status`, "utf8"))?.[1]) * 1024

const heapOf = Effect.fnUntraced(function* (pid: number, file: string) {
  rmSync(file, { force: true })
  process.kill(pid, "SIGUSR2")
  return yield* Effect.try(() => Number(readFileSync(file, "utf8"))).pipe(
    Effect.retry(Schedule.spaced("20 millis")),
    Effect.timeout("10 seconds")
  )
})

const filesIn = (folder: string) =>
  readdirSync(folder, { recursive: true, withFileTypes: true }).filter(
    (entry) => entry.isFile() || entry.isSymbolicLink()
  )

export const take = Effect.fnUntraced(function* ({ home, pid }: Served, heapFile: string) {
  const files = filesIn(home)
  const ledger = files.filter(({ name }) => name.startsWith("ledger.db"))
  const figures: Figures = {
    heap: yield* heapOf(pid, heapFile),
    memory: memoryOf(pid),
    handles: readdirSync(`/proc/${pid}/fd`).length,
    processes: Processes.withFolder(home).length,
    files: files.length,
    ledger: ledger.reduce((sum, { name, parentPath }) => sum + statSync(join(parentPath, name)).size, 0)
  }
  return figures
})

/** The figures once nothing is under way any more: what ends, ends within seconds. */
export const settled = Effect.fnUntraced(function* (served: Served, heapFile: string, like?: Figures) {
  return yield* take(served, heapFile).pipe(
    Effect.repeat({
      until: (now) => like !== undefined && grown(like, now).length === 0,
      schedule: Schedule.spaced("500 millis").pipe(
        Schedule.upTo({ duration: like === undefined ? "3 seconds" : "20 seconds" })
      )
    })
  )
})

const megabyte = 1024 * 1024

/** How much of each is no growth: a heap is never twice the same, and memory that was freed is not given back at once. */
const bounds: Readonly<Record<Exclude<keyof Figures, "ledger">, (start: number) => number>> = {
  heap: (start) => start * 1.1 + 2 * megabyte,
  memory: (start) => start * 1.25 + 16 * megabyte,
  handles: (start) => start,
  processes: (start) => start,
  files: (start) => start
}

/** What grew. */
export const grown = (start: Figures, end: Figures) =>
  (["heap", "memory", "handles", "processes", "files"] as const).filter((name) => end[name] > bounds[name](start[name]))

const inMegabytes = (bytes: number) => `${(bytes / megabyte).toFixed(1)} MB`

export const line = ({ files, handles, heap, ledger, memory, processes }: Figures) =>
  `heap ${inMegabytes(heap)}, memory ${inMegabytes(memory)}, ${handles} handles, ${processes} processes, ` +
  `${files} files, ledger ${inMegabytes(ledger)}`
