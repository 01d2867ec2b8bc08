/**
 * What a server holds that has nothing to do: memory, handles, processes, files, and what its ledger says; and whether it
 * has grown.
 *
 * - Its heap is taken after collections, with the memory of its buffers; all its memory is what the system says, after
 *   they have given back what is only kept to be used again. Of both there are several samples, and what counts is the
 *   growth of the line through them: no two samples are the same.
 * - Handles, timers and descriptors must not be more than at the start. No process may be left beside the server's own: an
 *   agent of no session, or what an agent has left behind.
 * - Files are those of uploads, sessions and runs: each must belong to something that the ledger has, and what the ledger
 *   has of them must not be past its time.
 * - The ledger keeps what happened for ninety days, and holds no text of it. So its file grows by these rows, and is told
 *   with their number; it must not grow by anything else.
 */
import { Effect, Schedule, Schema } from "effect"
import { readdirSync, readFileSync, rmSync, statSync } from "node:fs"
import * as Processes from "../support/Processes.ts"
import * as Ledger from "./Ledger.ts"

/** A server that was started with `flags` and `env`. */
export interface Watched {
  readonly pid: number
  /** It is in the environment of its agents. */
  readonly home: string
  readonly data: string
  readonly hardTtlMillis: number
}

const probeOf = (home: string) => `${home}/probe.json`

/**
 * With these flags and variables a server tells what it holds, and not what it has not let go of yet. Compiled code that
 * is dropped when it has not been used for a while, and made again, would be megabytes of difference between two looks.
 */
export const watched = (home: string) => ({
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

/** What of it is in memory, or was put out of it. */
const memoryOf = (pid: number) =>
  [...readFileSync(`/proc/${pid}/status`, "utf8").matchAll(/^Vm(?:RSS|Swap):\s+(\d+)/gm)].reduce(
    (sum, [, kilobytes]) => sum + Number(kilobytes) / 1024,
    0
  )

const Probed = Schema.fromJsonString(Schema.Struct({ heap: Schema.Finite, handles: Schema.Int, timers: Schema.Int }))

const probe = Effect.fnUntraced(function* ({ home, pid }: Watched) {
  const file = probeOf(home)
  rmSync(file, { force: true })
  process.kill(pid, "SIGUSR2")
  const text = yield* Effect.try(() => readFileSync(file, "utf8")).pipe(
    Effect.retry(Schedule.spaced("20 millis")),
    Effect.timeout("30 seconds")
  )
  return yield* Schema.decodeEffect(Probed)(text)
}, Effect.orDie)

/** The bytes of the ledger and of the log of what was last written. */
const ledgerBytes = (data: string) =>
  readdirSync(data)
    .filter((name) => name.startsWith("ledger.db"))
    .reduce((sum, name) => sum + statSync(`${data}/${name}`).size, 0)

const take = Effect.fnUntraced(function* (server: Watched) {
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
      "processes beside the server": Processes.withFolder(home).filter((found) => found !== pid).length
    },
    ledger: ledgerBytes(data) / megabyte,
    auditRows: Ledger.auditRowsIn(data)
  }
  return figures
})

/** Timers come and go by themselves: of the sweep, of a call that might be repeated, of an agent that might sleep. */
const slack: Readonly<Record<string, number>> = { timers: 2 }

/** What is wrong by itself, and what there is more of than there was. */
const excess = (start: Figures | undefined, { faults, held }: Figures): ReadonlyArray<string> => [
  ...Object.entries(faults).flatMap(([name, count]) => (count === 0 ? [] : [`${count} ${name}`])),
  ...Object.entries(held).flatMap(([name, count]) => {
    const before = start?.held[name] ?? Infinity
    return count > before + (slack[name] ?? 0) ? [`${count} ${name} instead of ${before}`] : []
  })
]

/**
 * The figures once nothing is under way any more: what ends, ends within seconds. The first ones, which nothing can be
 * compared with, are given those.
 */
export const settled = (server: Watched, start?: Figures) =>
  take(server).pipe(
    Effect.delay(start === undefined ? "5 seconds" : 0),
    Effect.repeat({
      until: (now) => excess(start, now).length === 0,
      schedule: Schedule.spaced("500 millis").pipe(Schedule.upTo({ duration: "30 seconds" }))
    })
  )

/** How much higher the line through the samples is at its end than at its start. */
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
 * Megabytes by which the line may rise over all samples. A heap that holds nothing more still has more compiled code and
 * feedback in it. Over an hour's hundreds of thousands of calls its three are a few bytes a call: less than the smallest
 * thing that could be left of each. All the memory goes up and down by what allocators keep.
 */
const allowed = { heap: 3, memory: 16 } as const

/** What a row that is kept takes, with its indexes, in bytes. */
const auditRowBytes = 400

/** Megabytes by which the ledger may be larger without those rows: its pages are not given back, and its log comes and goes. */
const ledgerSlack = 16

/** What has grown from the first sample to the last, and what is wrong in any. */
export const grown = (samples: ReadonlyArray<Figures>): ReadonlyArray<string> => {
  const [first] = samples
  const last = samples.at(-1)
  if (first === undefined || last === undefined) return ["there are no samples"]
  const lines = (["heap", "memory"] as const).flatMap((name) => {
    const by = growth(samples.map((sample) => sample[name]))
    return by > allowed[name] ? [`${name} by ${by.toFixed(1)} MB, of ${allowed[name]} MB that are allowed`] : []
  })
  const rows = ((last.auditRows - first.auditRows) * auditRowBytes) / megabyte
  const ledger = last.ledger - first.ledger - rows
  return [
    ...lines,
    ...(ledger > ledgerSlack ? [`the ledger by ${ledger.toFixed(1)} MB more than its rows take`] : []),
    ...new Set(samples.flatMap((sample) => excess(first, sample)))
  ]
}

/** How the memory went, in one line. */
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
