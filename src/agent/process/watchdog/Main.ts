/**
 * The watchdog process: kills the processes that agents leave behind, even if its parent, the server, is killed.
 *
 * It reads commands from its parent, one per line: `watch MARK PID STARTTIME` for an agent that runs, `reap MARK` to kill
 * what an agent left (answered by `reaped MARK`), `done` to exit. If the pipe closes without `done`, the parent is dead:
 * the watchdog kills everything with the parent's mark, agents that were never reported included, removes the parent's
 * temporary folder, and exits.
 *
 * Given a folder, it records the running agents there. Before it reports `ready`, it kills the agents that an earlier
 * server left when it was killed together with its watchdog.
 *
 * boundary: bare Node (see Processes.ts).
 */
import { chmodSync, readdirSync, rmSync } from "node:fs"
import { join } from "node:path"
import { createInterface } from "node:readline"
import { setTimeout as pause } from "node:timers/promises"
import { type Group, signalAll } from "./Processes.ts"
import * as Records from "./Records.ts"

const pollMillis = 50
/** How long a process may take to exit on SIGTERM before it is killed. */
const graceMillis = 500
/** An agent that was just starting when the parent died may appear this late. */
const startupMillis = 1_000
/** When to give up on processes that cannot be killed. */
const limitMillis = 10_000

/** `NAME=VALUE`: the mark of each agent of this parent is this, a dot and a number. */
const parentMark = process.argv[2] ?? ""
const records = Records.open(process.argv[3] ?? "", parentMark)
const temporary = process.argv[4] ?? ""
const groups = new Map<string, Group>()

/** Kills what `find` and the mark match; returns whether nothing was left for `quietMillis`, or false at the limit. */
const reap = async (find: () => ReadonlyArray<Group>, mark: string, quietMillis: number): Promise<boolean> => {
  const start = performance.now()
  let lastSeen = -Infinity
  for (let now = 0; now < limitMillis; now = performance.now() - start) {
    if (signalAll(find(), mark, now < graceMillis ? "SIGTERM" : "SIGKILL")) lastSeen = now
    else if (now - Math.max(lastSeen, 0) >= quietMillis) return true
    await pause(pollMillis)
  }
  return false
}

/** Kills what earlier servers left. What cannot be killed stays recorded. */
const reapOrphans = async (): Promise<void> => {
  await Promise.all(
    records.orphans().map(async ({ groups, mark, remove }) => {
      if (await reap(() => groups, mark, 0)) remove()
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
    records.clear()
    process.exit(0)
  }
  if (command !== "reap") return
  const group = groups.get(mark)
  await reap(() => (group === undefined ? [] : [group]), `${mark}\0`, 0)
  groups.delete(mark)
  records.remove(mark)
  process.stdout.write(`reaped ${mark}\n`)
}

const rights = 0o700

/** Makes the folders of a tree writable: agents leave read-only ones, such as those of package managers. */
const unlock = (folder: string): void => {
  chmodSync(folder, rights)
  for (const entry of readdirSync(folder, { withFileTypes: true })) {
    // What a link points to is not the agent's.
    if (entry.isDirectory()) unlock(join(folder, entry.name))
  }
}

const removeTemporary = (): void => {
  try {
    unlock(temporary)
    rmSync(temporary, { recursive: true, force: true, maxRetries: 3 })
  } catch {
    // The server is dead, so there is no one to report this to.
  }
}

/** Runs when the parent is dead. Includes the records: a replacement watchdog may not know all the groups of the first. */
const reapAll = async (): Promise<void> => {
  const recorded = records.ownGroups()
  if (await reap(() => [...groups.values(), ...recorded], `${parentMark}.`, startupMillis)) records.clear()
  if (temporary !== "") removeTemporary()
  process.exit(0)
}

// A signal to all processes of the parent or the terminal must not stop the watchdog.
for (const name of ["SIGINT", "SIGTERM", "SIGHUP"] as const) process.on(name, () => {})
process.stdout.on("error", () => {})
const lines = createInterface({ input: process.stdin })
lines.on("line", (line) => void receive(line))
lines.on("close", () => void reapAll())

await reapOrphans()
records.addServer()
process.stdout.write("ready\n")
