/**
 * The processes of this machine, by what identifies an agent's own: the group that it leads, with the time at which the
 * leader started, and the mark that all its descendants carry in their environment. Names are never looked at.
 *
 * boundary: the watchdog is a bare Node program without dependencies, since it must be small and never in the way.
 */
import { readdirSync, readFileSync } from "node:fs"

/** A process group. The start time of its leader tells it from a later group with the same number. */
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

const readOrEmpty = (path: string): string => {
  try {
    return readFileSync(path, "latin1")
  } catch {
    return ""
  }
}

/** The fields after the command's name, which is in parentheses and may hold anything. */
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

/** Every living process that is in one of the groups, or whose environment carries the mark. */
const members = (groups: ReadonlyArray<Group>, mark: string): ReadonlyArray<number> => {
  const stats = pids().flatMap((pid) => statOf(pid) ?? [])
  const startTimes = new Map(stats.map((stat) => [stat.pid, stat.startTime]))
  const ours = new Set(
    groups
      .filter(({ pid, startTime }) => startTime !== undefined && (startTimes.get(pid) ?? startTime) === startTime)
      .map(({ pid }) => pid)
  )
  return stats
    .filter(({ state }) => state !== "Z" && state !== "X")
    .filter(({ group, pid }) => ours.has(group) || `\0${readOrEmpty(`/proc/${pid}/environ`)}`.includes(`\0${mark}`))
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
 * Signals what is left of the groups and of the mark's processes, and tells whether there was anything. Where there is
 * no /proc, only the groups can be reached.
 */
export const signalAll = (groups: ReadonlyArray<Group>, mark: string, name: NodeJS.Signals): boolean => {
  if (process.platform !== "linux") return groups.filter(({ pid }) => signal(-pid, name)).length > 0
  const left = members(groups, mark)
  for (const pid of left) signal(pid, name)
  return left.length > 0
}
