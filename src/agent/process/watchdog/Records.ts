/**
 * Which agents run, kept in a folder: one small file for each, named by its mark, and one for their server, whose mark
 * theirs begin with. What is left there when a server starts is from one that was killed together with its watchdog.
 *
 * boundary: bare Node (see Processes.ts).
 */
import { mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import type { Group } from "./Processes.ts"

/** What a server left. */
export interface Left {
  /** What the marks of its agents begin with. */
  readonly mark: string
  readonly groups: ReadonlyArray<Group>
  readonly forget: () => void
}

export interface Records {
  /** Records this server itself. */
  readonly begin: () => void
  readonly add: (mark: string, group: Group) => void
  readonly remove: (mark: string) => void
  /** The groups of this server's agents. */
  readonly own: () => ReadonlyArray<Group>
  /** Removes all records of this server. */
  readonly end: () => void
  /** What earlier servers left. */
  readonly left: () => ReadonlyArray<Left>
}

const none: Records = { begin: () => {}, add: () => {}, remove: () => {}, own: () => [], end: () => {}, left: () => [] }

const readOrEmpty = (file: string): string => {
  try {
    return readFileSync(file, "utf8")
  } catch {
    // The watchdog of that server may still be at work and have removed it.
    return ""
  }
}

/** A start time counts from here, so a group of an earlier boot is nobody's. */
const readBoot = (): string => readOrEmpty("/proc/sys/kernel/random/boot_id").trim()

const groupIn = (file: string, boot: string): ReadonlyArray<Group> => {
  const [of, pid, startTime] = readOrEmpty(file).split(" ")
  return of === boot && startTime !== undefined ? [{ pid: Number(pid), startTime }] : []
}

/** The records in a folder; without one there are none. */
export const open = (folder: string, ownMark: string): Records => {
  if (folder === "") return none
  const [variable = "", own = ""] = ownMark.split("=")
  const boot = readBoot()
  const fileOf = (mark: string): string => join(folder, mark.slice(variable.length + 1))
  const write = (mark: string, text: string): void => writeFileSync(fileOf(mark), text, { mode: 0o600 })
  const serverOf = (name: string): string => name.split(".")[0] ?? name
  const namesOf = (server: string): ReadonlyArray<string> =>
    readdirSync(folder).filter((name) => serverOf(name) === server)
  const forget = (server: string): void => {
    for (const name of namesOf(server)) rmSync(join(folder, name), { force: true })
  }

  const groupsOf = (server: string): ReadonlyArray<Group> =>
    namesOf(server).flatMap((name) => groupIn(join(folder, name), boot))

  mkdirSync(folder, { recursive: true, mode: 0o700 })
  return {
    begin: () => write(ownMark, boot),
    add: (mark, { pid, startTime }) => {
      if (startTime === undefined) return
      try {
        write(mark, `${boot} ${pid} ${startTime}`)
      } catch {
        // A full disk: the agent's mark identifies it too, and that of its server is recorded.
      }
    },
    remove: (mark) => rmSync(fileOf(mark), { force: true }),
    own: () => groupsOf(own),
    end: () => forget(own),
    left: () =>
      [...new Set(readdirSync(folder).map(serverOf))]
        // A file whose name begins with a dot is somebody else's.
        .filter((server) => server !== own && server !== "")
        .map((server) => ({
          mark: `${variable}=${server}.`,
          groups: groupsOf(server),
          forget: () => forget(server)
        }))
  }
}
