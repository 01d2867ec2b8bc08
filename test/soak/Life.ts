/**
 * One life of a server: how it is set, how it ends, and that nothing of it is left.
 */
import { Effect, Schedule } from "effect"
import type * as Served from "../conformance/Served.ts"
import * as Processes from "../support/Processes.ts"

export const hardTtlMillis = 20_000

export const settings = [
  "--max-processes=6",
  "--max-live-sessions=48",
  "--sleep-after=1",
  `--hard-ttl=${hardTtlMillis / 1000}`,
  "--grace=1"
]

/** How long a server may take to end, and how long what it started may outlive it. */
const endsWithin = "60 seconds"
const outlivedFor = "15 seconds"

const sigkill = (pid: number) => {
  try {
    process.kill(pid, "SIGKILL")
  } catch {
    // It was an agent that has just begun, or just ended.
  }
}

/** The watchdog is the child that is no agent: it does not have the server's environment. */
const killWatchdog = ({ home, pid }: Served.Served) =>
  Effect.sync(() => {
    const agents = new Set(Processes.withFolder(home))
    for (const child of Processes.childrenOf(pid)) if (!agents.has(child)) sigkill(child)
  })

const signal = (served: Served.Served, name: "SIGKILL" | "SIGTERM") =>
  Effect.timeoutOrElse(served.end(name), {
    duration: endsWithin,
    orElse: () => Effect.die(new Error(`the server did not end within ${endsWithin} of ${name}`))
  })

/** A way in which a life ends, and whether somebody is left who ends the agents. */
export interface Ending {
  readonly name: string
  readonly end: (served: Served.Served) => Effect.Effect<void>
  readonly isClean: boolean
}

export const toldToEnd: Ending = { name: "told to end", end: (served) => signal(served, "SIGTERM"), isClean: true }

/** All of them. Where nobody is left, the next life ends what there is. */
export const endings: ReadonlyArray<Ending> = [
  { name: "killed", end: (served) => signal(served, "SIGKILL"), isClean: true },
  {
    name: "killed with its watchdog",
    end: (served) => Effect.andThen(killWatchdog(served), signal(served, "SIGKILL")),
    isClean: false
  },
  toldToEnd
]

/** What is wrong once a life has ended: what it started must go soon. */
export const remains = (home: string, { isClean }: Ending): Effect.Effect<ReadonlyArray<string>> => {
  if (!isClean) return Effect.succeed([])
  return Effect.sync(() => Processes.withFolder(home)).pipe(
    Effect.repeat({
      until: (left) => left.length === 0,
      schedule: Schedule.spaced("100 millis").pipe(Schedule.upTo({ duration: outlivedFor }))
    }),
    Effect.map(() => Processes.withFolder(home).length),
    Effect.map((count) => (count === 0 ? [] : [`${count} processes are left ${outlivedFor} after its end`]))
  )
}
