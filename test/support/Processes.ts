/**
 * The processes that a program started, by a folder in their environment.
 */
import { Effect } from "effect"
import { readdirSync, readFileSync } from "node:fs"
import { eventually } from "./Eventually.ts"

const read = (file: string): string => {
  try {
    return readFileSync(file, "latin1")
  } catch {
    // It has ended, or belongs to another user.
    return ""
  }
}

/** The processes, zombies aside, whose environment names this folder. */
export const withFolder = (folder: string): ReadonlyArray<number> =>
  readdirSync("/proc")
    .filter((name) => /^\d+$/.test(name))
    .filter((pid) => read(`/proc/${pid}/environ`).includes(folder))
    .filter((pid) => !/^State:\s+Z/m.test(read(`/proc/${pid}/status`)))
    .map(Number)

const parentOf = (pid: string): number => {
  const stat = read(`/proc/${pid}/stat`)
  return Number(stat.slice(stat.lastIndexOf(")") + 2).split(" ")[1])
}

/** The child processes of a process, whatever their pids, which wrap around. */
export const childrenOf = (pid: number): ReadonlyArray<number> =>
  readdirSync("/proc")
    .filter((name) => /^\d+$/.test(name) && parentOf(name) === pid)
    .map(Number)

/** Waits until all of them are gone. */
export const goneWithFolder = (folder: string) =>
  Effect.sync(() => withFolder(folder)).pipe(
    eventually(`the end of all processes of ${folder}`, (left) => left.length === 0)
  )
