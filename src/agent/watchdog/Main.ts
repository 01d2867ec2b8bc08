/**
 * The watchdog: ends what agents leave behind, also when the process that started them is killed and cannot.
 *
 * It holds a pipe from its parent. A line tells of an agent that runs (`watch MARK PID`), or that has ended and whose
 * remains shall go (`reap MARK`, answered by `reaped MARK` when nothing is left); `done` ends it. When the pipe closes
 * without that, the parent is dead: everything that carries the parent's mark goes, agents it was never told of
 * included, and then the watchdog itself.
 *
 * boundary: bare Node (see Processes.ts).
 */
import { createInterface } from "node:readline"
import { setTimeout as pause } from "node:timers/promises"
import { type Group, groupOf, signalAll } from "./Processes.ts"

const pollMillis = 50
/** What does not end on SIGTERM within this time is killed. */
const graceMillis = 500
/** An agent that was being started when the parent died may show up this late. */
const lateMillis = 1_000
/** After this time even what cannot be killed is given up. */
const limitMillis = 10_000

/** `NAME=VALUE`, as it stands in the environment of every agent of this parent; an agent's own mark begins with it. */
const parentMark = process.argv[2] ?? ""
const groups = new Map<string, Group>()

/** Returns when nothing has been found for the given time. */
const reap = async (found: () => ReadonlyArray<Group>, mark: string, quietMillis: number): Promise<void> => {
  const start = performance.now()
  let lastSeen = -Infinity
  for (let now = 0; now < limitMillis; now = performance.now() - start) {
    if (signalAll(found(), mark, now < graceMillis ? "SIGTERM" : "SIGKILL")) lastSeen = now
    else if (now - Math.max(lastSeen, 0) >= quietMillis) return
    await pause(pollMillis)
  }
}

const receive = async (line: string): Promise<void> => {
  const [command, mark = "", pid] = line.split(" ")
  if (command === "watch") groups.set(mark, groupOf(Number(pid)))
  if (command === "done") process.exit(0)
  if (command !== "reap") return
  const group = groups.get(mark)
  await reap(() => (group === undefined ? [] : [group]), `${mark}\0`, 0)
  groups.delete(mark)
  process.stdout.write(`reaped ${mark}\n`)
}

// The parent, or a terminal, may signal every process it knows of: this one must outlive that.
for (const name of ["SIGINT", "SIGTERM", "SIGHUP"] as const) process.on(name, () => {})
process.stdout.on("error", () => {})
process.stdout.write("ready\n")

const lines = createInterface({ input: process.stdin })
lines.on("line", (line) => void receive(line))
lines.on("close", () => {
  void reap(() => [...groups.values()], parentMark, lateMillis).then(() => process.exit(0))
})
