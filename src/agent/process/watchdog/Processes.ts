/**
 * Finds and signals the processes of an agent: by its process group, with the start time of the leader, and by the mark
 * that its descendants inherit in their environment. Never by name.
 *
 * boundary: the watchdog is a bare Node program without dependencies, so that it stays small and starts fast.
 */
import { readdirSync, readFileSync } from "node:fs"

/** A process group. The start time of its leader tells it from a later group with the same id. */
export interface Group {
  readonly pid: number
  readonly startTime: string | undefined
}

interface Stat {
  readonly pid: number
  readonly state: string
  readonly group: number
  readonly startTime: string
}

/** The text of a file, or an empty one if it cannot be read: processes and records may disappear at any time. */
export const readOrEmpty = (path: string): string => {
  try {
    return readFileSync(path, "latin1")
  } catch {
    return ""
  }
}

/** Parses the fields after the command's name, which is in parentheses and may contain any character. */
const statOf = (pid: number): Stat | undefined => {
  const text = readOrEmpty(`/proc/${pid}/stat`)
  const fields = text.slice(text.lastIndexOf(")") + 2).split(" ")
  const [state, , group, startTime] = [fields[0], fields[1], fields[2], fields[19]]
  return state === undefined || startTime === undefined ? undefined : { pid, state, group: Number(group), startTime }
}

export const groupOf = (pid: number): Group => ({ pid, startTime: statOf(pid)?.startTime })

const pids = (): ReadonlyArray<number> => {
  try {
    return readdirSync("/proc")
      .filter((name) => /^[0-9]+$/.test(name))
      .map(Number)
  } catch {
    return []
  }
}

/** The living processes that are in one of the groups, or have the mark in their environment. */
const members = (groups: ReadonlyArray<Group>, mark: string): ReadonlyArray<number> => {
  const stats = pids().flatMap((pid) => statOf(pid) ?? [])
  const startTimes = new Map(stats.map((stat) => [stat.pid, stat.startTime]))
  const groupIds = new Set(
    groups
      .filter(({ pid, startTime }) => startTime !== undefined && (startTimes.get(pid) ?? startTime) === startTime)
      .map(({ pid }) => pid)
  )
  return stats
    .filter(({ state }) => state !== "Z" && state !== "X")
    .filter(({ group, pid }) => groupIds.has(group) || `\0${readOrEmpty(`/proc/${pid}/environ`)}`.includes(`\0${mark}`))
    .map(({ pid }) => pid)
}

const signal = (pid: number, name: NodeJS.Signals): boolean => {
  try {
    return process.kill(pid, name)
  } catch {
    return false
  }
}

/**
 * Signals the processes of the groups and of the mark, and returns whether there were any. Without /proc, only the
 * groups can be reached.
 */
export const signalAll = (groups: ReadonlyArray<Group>, mark: string, name: NodeJS.Signals): boolean => {
  if (process.platform !== "linux") return groups.filter(({ pid }) => signal(-pid, name)).length > 0
  const left = members(groups, mark)
  for (const pid of left) signal(pid, name)
  return left.length > 0
}
