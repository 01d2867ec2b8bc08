/**
 * Processes as a test sees them: all that a program started, by a folder that is in their environment.
 */
import { Effect, Schedule } from "effect"
import { readdirSync, readFileSync } from "node:fs"
import { patience } from "./Patience.ts"

const read = (file: string): string => {
  try {
    return readFileSync(file, "latin1")
  } catch {
    // It ended meanwhile, or is somebody else's.
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

/** The processes that a process has started itself, whatever their numbers: these begin anew when they are used up. */
export const childrenOf = (pid: number): ReadonlyArray<number> =>
  readdirSync("/proc")
    .filter((name) => /^\d+$/.test(name) && parentOf(name) === pid)
    .map(Number)

/** Waits until all of them are gone; fails with those that are left. */
export const goneWithFolder = (folder: string) =>
  Effect.suspend(() => {
    const left = withFolder(folder)
    return left.length === 0 ? Effect.void : Effect.fail(left)
  }).pipe(Effect.retry(Schedule.spaced("50 millis").pipe(Schedule.upTo({ duration: patience }))))
