/**
 * Measures what an idle server holds, and checks that it has not grown: memory, handles, processes, files and ledger.
 *
 * - The heap, buffers included, is measured after garbage collections; the memory is the resident and swapped memory of
 *   the process. Samples vary, so what counts is the slope of a line fitted through them.
 * - There must be no more handles, timers and descriptors than at the start, and no process besides the server's own.
 * - Each file of an upload, a session or a run must belong to a row of the ledger, and no such row may be overdue.
 * - The ledger keeps audit rows for ninety days, so its file grows by these rows, but must not grow by anything else.
 */
import { Effect, Schedule, Schema } from "effect"
import { readdirSync, readFileSync, rmSync, statSync } from "node:fs"
import * as Processes from "../support/Processes.ts"
import * as Ledger from "./Ledger.ts"

/** A server that was started with `probeSettings`. */
export interface Probed {
  readonly pid: number
  /** Set in the environment of its agents, by which they are found. */
  readonly home: string
  readonly data: string
  readonly hardTtlMillis: number
}

const probeOf = (home: string) => `${home}/probe.json`

/**
 * The flags and variables that load the probe into a server. Without `--no-flush-bytecode`, compiled code that is dropped
 * and recompiled would make samples differ by megabytes.
 */
export const probeSettings = (home: string) => ({
  node: ["--expose-gc", "--no-flush-bytecode", "--import", "./test/soak/Probe.ts"],
  env: { PROBE: probeOf(home) }
})

export interface Figures {
  /** In megabytes. */
  readonly heap: number
  readonly memory: number
  readonly held: Readonly<Record<string, number>>
  readonly faults: Readonly<Record<string, number>>
  readonly ledger: number
  readonly auditRows: number
}

const megabyte = 1024 * 1024

/** The resident and swapped memory of a process, in megabytes. */
const memoryOf = (pid: number) =>
  [...readFileSync(`/proc/${pid}/status`, "utf8").matchAll(/^Vm(?:RSS|Swap):\s+(\d+)/gm)].reduce(
    (sum, [, kilobytes]) => sum + Number(kilobytes) / 1024,
    0
  )

const ProbeResult = Schema.fromJsonString(
  Schema.Struct({ heap: Schema.Finite, handles: Schema.Int, timers: Schema.Int })
)

const probe = Effect.fnUntraced(function* ({ home, pid }: Probed) {
  const file = probeOf(home)
  rmSync(file, { force: true })
  process.kill(pid, "SIGUSR2")
  const text = yield* Effect.try(() => readFileSync(file, "utf8")).pipe(
    Effect.retry(Schedule.spaced("20 millis")),
    Effect.timeout("30 seconds")
  )
  return yield* Schema.decodeEffect(ProbeResult)(text)
}, Effect.orDie)

/** The size of the ledger with its write-ahead log. */
const ledgerBytes = (data: string) =>
  readdirSync(data)
    .filter((name) => name.startsWith("ledger.db"))
    .reduce((sum, name) => sum + statSync(`${data}/${name}`).size, 0)

const take = Effect.fnUntraced(function* (server: Probed) {
  const { data, hardTtlMillis, home, pid } = server
  const { handles, heap, timers } = yield* probe(server)
  const figures: Figures = {
    heap: heap / megabyte,
    memory: memoryOf(pid),
    held: {
      handles,
      timers,
      descriptors: readdirSync(`/proc/${pid}/fd`).length
    },
    faults: {
      ...Ledger.faultsIn(data, hardTtlMillis),
      "processes besides the server": Processes.withFolder(home).filter((found) => found !== pid).length
    },
    ledger: ledgerBytes(data) / megabyte,
    auditRows: Ledger.auditRowsIn(data)
  }
  return figures
})

/** The number of timers varies: of the sweep, of calls that may be repeated, of agents that may be put to sleep. */
const slack: Readonly<Record<string, number>> = { timers: 2 }

/** The faults, and the counts that are higher than at the start. */
const excess = (start: Figures | undefined, { faults, held }: Figures): ReadonlyArray<string> => [
  ...Object.entries(faults).flatMap(([name, count]) => (count === 0 ? [] : [`${count} ${name}`])),
  ...Object.entries(held).flatMap(([name, count]) => {
    const before = start?.held[name] ?? Infinity
    return count > before + (slack[name] ?? 0) ? [`${count} ${name} instead of ${before}`] : []
  })
]

/**
 * Takes the figures once the server is idle, which takes seconds. The first figures have nothing to be compared with, so
 * they are taken after a fixed delay.
 */
export const settled = (server: Probed, start?: Figures) =>
  take(server).pipe(
    Effect.delay(start === undefined ? "5 seconds" : 0),
    Effect.repeat({
      until: (now) => excess(start, now).length === 0,
      schedule: Schedule.spaced("500 millis").pipe(Schedule.upTo({ duration: "30 seconds" }))
    })
  )

/** The rise of the fitted line from the first sample to the last. */
const growth = (samples: ReadonlyArray<number>): number => {
  const middle = (samples.length - 1) / 2
  const mean = samples.reduce((sum, sample) => sum + sample, 0) / samples.length
  const [along, square] = samples.reduce(
    ([along, square], sample, index) => [along + (index - middle) * (sample - mean), square + (index - middle) ** 2],
    [0, 0]
  )
  return square === 0 ? 0 : (along / square) * (samples.length - 1)
}

/**
 * The megabytes by which the fitted line may rise. Without any leak, the heap still gains compiled code and type feedback.
 * Over the hundreds of thousands of calls of an hour, three megabytes are a few bytes per call, less than the smallest
 * leak. The memory of the process varies more, by what allocators retain.
 */
const allowed = { heap: 3, memory: 16 } as const

/** The size of an audit row with its indexes, in bytes. */
const auditRowBytes = 400

/** The megabytes by which the ledger may grow otherwise: free pages are not returned, and the log varies. */
const ledgerSlack = 16

/** What has grown from the first sample to the last, and the faults of all samples. */
export const grown = (samples: ReadonlyArray<Figures>): ReadonlyArray<string> => {
  const [first] = samples
  const last = samples.at(-1)
  if (first === undefined || last === undefined) return ["there are no samples"]
  const lines = (["heap", "memory"] as const).flatMap((name) => {
    const by = growth(samples.map((sample) => sample[name]))
    return by > allowed[name] ? [`${name} by ${by.toFixed(1)} MB, of ${allowed[name]} MB allowed`] : []
  })
  const rows = ((last.auditRows - first.auditRows) * auditRowBytes) / megabyte
  const ledger = last.ledger - first.ledger - rows
  return [
    ...lines,
    ...(ledger > ledgerSlack ? [`the ledger by ${ledger.toFixed(1)} MB more than its audit rows`] : []),
    ...new Set(samples.flatMap((sample) => excess(first, sample)))
  ]
}

/** The growth of heap and memory, in one line. */
export const trend = (samples: ReadonlyArray<Figures>): string =>
  (["heap", "memory"] as const)
    .map((name) => {
      const by = growth(samples.map((sample) => sample[name]))
      return `${name} ${by < 0 ? "" : "+"}${by.toFixed(1)} MB (at most +${allowed[name]})`
    })
    .join(", ")

export const line = ({ auditRows, faults, heap, held, ledger, memory }: Figures): string =>
  [
    `heap ${heap.toFixed(1)} MB`,
    `memory ${memory.toFixed(0)} MB`,
    ...Object.entries(held).map(([name, count]) => `${count} ${name}`),
    `ledger ${ledger.toFixed(1)} MB with ${auditRows} audit rows`,
    ...Object.entries(faults).flatMap(([name, count]) => (count === 0 ? [] : [`${count} ${name}`]))
  ].join(", ")
