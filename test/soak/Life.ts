/**
 * One life of a server: its settings, how it ends, and that no process is left afterwards.
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

/** How long a server may take to exit, and how long its descendants may outlive it. */
const exitLimit = "60 seconds"
const outliveLimit = "15 seconds"

const sigkill = (pid: number) => {
  try {
    process.kill(pid, "SIGKILL")
  } catch {
    // The process has just exited.
  }
}

/** The watchdog is the child that is not an agent: it does not have the server's environment. */
const killWatchdog = ({ home, pid }: Served.Served) =>
  Effect.sync(() => {
    const agents = new Set(Processes.withFolder(home))
    for (const child of Processes.childrenOf(pid)) if (!agents.has(child)) sigkill(child)
  })

const signal = (served: Served.Served, name: "SIGKILL" | "SIGTERM") =>
  Effect.timeoutOrElse(served.end(name), {
    duration: exitLimit,
    orElse: () => Effect.die(new Error(`the server did not exit within ${exitLimit} of ${name}`))
  })

/** A way to end a life, and whether the server or its watchdog then kills the agents. */
export interface Ending {
  readonly name: string
  readonly end: (served: Served.Served) => Effect.Effect<void>
  readonly isClean: boolean
}

export const terminated: Ending = { name: "terminated", end: (served) => signal(served, "SIGTERM"), isClean: true }

/** All ways to end a life. If the watchdog is killed too, the next life kills the agents. */
export const endings: ReadonlyArray<Ending> = [
  { name: "killed", end: (served) => signal(served, "SIGKILL"), isClean: true },
  {
    name: "killed with its watchdog",
    end: (served) => Effect.andThen(killWatchdog(served), signal(served, "SIGKILL")),
    isClean: false
  },
  terminated
]

/** The faults after the end of a life: its descendants must exit soon. */
export const remains = (home: string, { isClean }: Ending): Effect.Effect<ReadonlyArray<string>> => {
  if (!isClean) return Effect.succeed([])
  return Effect.sync(() => Processes.withFolder(home)).pipe(
    Effect.repeat({
      until: (left) => left.length === 0,
      schedule: Schedule.spaced("100 millis").pipe(Schedule.upTo({ duration: outliveLimit }))
    }),
    Effect.map(() => Processes.withFolder(home).length),
    Effect.map((count) => (count === 0 ? [] : [`${count} processes are left ${outliveLimit} after its end`]))
  )
}
