/**
 * The watchdog: ends what agents leave behind, also when the process that started them is killed and cannot.
 *
 * It holds a pipe from its parent. A line tells of an agent that runs (`watch MARK PID STARTTIME`), or that has ended
 * and whose remains shall go (`reap MARK`, answered by `reaped MARK` when nothing is left); `done` ends it. When the pipe
 * closes without that, the parent is dead: everything that carries the parent's mark goes, agents it was never told of
 * included, then the parent's temporary folder, and then the watchdog itself.
 *
 * It keeps records of what runs, where it is given a folder for them, and ends what an earlier server and its watchdog
 * left before it says that it is ready.
 *
 * boundary: bare Node (see Processes.ts).
 */
import { rmSync } from "node:fs"
import { createInterface } from "node:readline"
import { setTimeout as pause } from "node:timers/promises"
import { type Group, signalAll } from "./Processes.ts"
import * as Records from "./Records.ts"

const pollMillis = 50
/** What does not end on SIGTERM within this time is killed. */
const graceMillis = 500
/** An agent that was being started when the parent died may show up this late. */
const lateMillis = 1_000
/** After this time even what cannot be killed is given up. */
const limitMillis = 10_000

/** `NAME=VALUE`, of which the marks of this parent's agents are made: they go on with a dot and a number. */
const parentMark = process.argv[2] ?? ""
const records = Records.open(process.argv[3] ?? "", parentMark)
const temporary = process.argv[4] ?? ""
const groups = new Map<string, Group>()

/** Tells, when nothing has been found for the given time, that nothing is left; or that it was given up. */
const reap = async (found: () => ReadonlyArray<Group>, mark: string, quietMillis: number): Promise<boolean> => {
  const start = performance.now()
  let lastSeen = -Infinity
  for (let now = 0; now < limitMillis; now = performance.now() - start) {
    if (signalAll(found(), mark, now < graceMillis ? "SIGTERM" : "SIGKILL")) lastSeen = now
    else if (now - Math.max(lastSeen, 0) >= quietMillis) return true
    await pause(pollMillis)
  }
  return false
}

/** Ends what earlier servers left. What cannot be ended stays recorded. */
const reapEarlier = async (): Promise<void> => {
  await Promise.all(
    records.left().map(async ({ forget, groups, mark }) => {
      if (await reap(() => groups, mark, 0)) forget()
    })
  )
}

const receive = async (line: string): Promise<void> => {
  const [command, mark = "", pid, startTime] = line.split(" ")
  if (command === "watch") {
    const group = { pid: Number(pid), startTime: startTime === "" ? undefined : startTime }
    groups.set(mark, group)
    records.add(mark, group)
  }
  if (command === "done") {
    records.end()
    process.exit(0)
  }
  if (command !== "reap") return
  const group = groups.get(mark)
  await reap(() => (group === undefined ? [] : [group]), `${mark}\0`, 0)
  groups.delete(mark)
  records.remove(mark)
  process.stdout.write(`reaped ${mark}\n`)
}

const removeTemporary = (): void => {
  try {
    rmSync(temporary, { recursive: true, force: true, maxRetries: 3 })
  } catch {
    // Nobody is left to be told.
  }
}

/** The parent is dead. The records count too: a watchdog that replaced another may not know all that the other did. */
const reapAll = async (): Promise<void> => {
  const recorded = records.own()
  if (await reap(() => [...groups.values(), ...recorded], `${parentMark}.`, lateMillis)) records.end()
  if (temporary !== "") removeTemporary()
  process.exit(0)
}

// The parent, or a terminal, may signal every process it knows of: this one must outlive that.
for (const name of ["SIGINT", "SIGTERM", "SIGHUP"] as const) process.on(name, () => {})
process.stdout.on("error", () => {})
const lines = createInterface({ input: process.stdin })
lines.on("line", (line) => void receive(line))
lines.on("close", () => void reapAll())

await reapEarlier()
records.begin()
process.stdout.write("ready\n")
