/**
 * Compares the CPU time of a turn through a server with that of a process per turn: `node test/bench/TurnCost.ts [TURNS]`.
 *
 * The server's cost is that of its own process and of its agents, over the turns of several sessions. A process per turn
 * costs OneTurn.ts and the agent that it starts, which is the cheapest way to do it, with the protocol library alone. Exits
 * with 1 if the server is not a hundred times cheaper.
 */
import { Console, Effect } from "effect"
import { spawn } from "node:child_process"
import { once } from "node:events"
import { readFileSync } from "node:fs"
import { fileURLToPath } from "node:url"
import * as Processes from "../support/Processes.ts"
import * as ServedSessions from "./ServedSessions.ts"

const turns = Number(process.argv[2] ?? 3_000)
const processes = 20
const sessions = 8
/** A server runs for a long time, so it is measured after a warm-up. */
const warmUp = 2_000
const goal = 100

/** Linux counts CPU time in hundredths of a second. */
const tickMillis = 10

/** The CPU time in milliseconds of a process, or of its children that have exited. */
const usedBy = (pid: number | "self", of: "itself" | "its children"): number => {
  const stat = readFileSync(`/proc/${pid}/stat`, "utf8")
  // The name before the parenthesis may contain spaces.
  const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ")
  const at = of === "itself" ? 11 : 13
  return (Number(fields[at]) + Number(fields[at + 1])) * tickMillis
}

const program = fileURLToPath(new URL("./OneTurn.ts", import.meta.url))

const bench = Effect.gen(function* () {
  const { open, served } = yield* ServedSessions.serve
  /** Runs this many turns, divided among new sessions that run concurrently. */
  const take = Effect.fnUntraced(function* (count: number) {
    const opened = yield* Effect.forEach(Array.from({ length: sessions }), () => open, { concurrency: "unbounded" })
    const turns = Effect.fnUntraced(function* ({ turn }: (typeof opened)[number], count: number) {
      for (let index = 0; index < count; index++) yield* turn("/echo hello")
    })
    const all = (count: number) =>
      Effect.forEach(opened, (session) => turns(session, count / sessions), { concurrency: "unbounded", discard: true })
    yield* all(sessions)
    const agents = Processes.withFolder(served.home).filter((pid) => pid !== served.pid)
    const used = () => ({
      server: usedBy(served.pid, "itself"),
      agent: agents.reduce((sum, pid) => sum + usedBy(pid, "itself"), 0)
    })
    const before = used()
    yield* all(count)
    const after = used()
    return { server: (after.server - before.server) / count, agent: (after.agent - before.agent) / count }
  })
  yield* take(warmUp)
  const { agent, server } = yield* take(turns)

  const before = usedBy("self", "its children")
  for (let index = 0; index < processes; index++) {
    yield* Effect.promise(() =>
      once(spawn(process.execPath, [program, served.home, "/echo hello"], { stdio: "inherit" }), "exit")
    )
  }
  const each = (usedBy("self", "its children") - before) / processes

  const ratio = each / (server + agent)
  yield* Console.log(`a process per turn: ${each.toFixed(1)} ms, over ${processes} turns`)
  yield* Console.log(
    `through a server: ${(server + agent).toFixed(2)} ms, of which the agents ${agent.toFixed(2)} ms, over ${turns} turns`
  )
  yield* Console.log(`${ratio.toFixed(0)} times cheaper; the goal is ${goal} times`)
  return ratio >= goal
}).pipe(Effect.scoped)

process.exitCode = (await Effect.runPromise(bench)) ? 0 : 1
