/**
 * Records the running agents in a folder: a small file for each agent, named after its mark, and one for the server, whose
 * mark is a prefix of theirs. Files found at the start were left by a server that was killed together with its watchdog.
 *
 * boundary: bare Node (see Processes.ts).
 */
import { mkdirSync, readdirSync, rmSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { type Group, readOrEmpty } from "./Processes.ts"

/** What an earlier server left. */
export interface Orphans {
  /** The prefix of its agents' marks. */
  readonly mark: string
  readonly groups: ReadonlyArray<Group>
  /** Removes the records of that server. */
  readonly remove: () => void
}

export interface Records {
  /** Records this server. */
  readonly addServer: () => void
  readonly add: (mark: string, group: Group) => void
  readonly remove: (mark: string) => void
  /** The groups of this server's agents. */
  readonly ownGroups: () => ReadonlyArray<Group>
  /** Removes all records of this server. */
  readonly clear: () => void
  /** What earlier servers left. */
  readonly orphans: () => ReadonlyArray<Orphans>
}

const none: Records = {
  addServer: () => {},
  add: () => {},
  remove: () => {},
  ownGroups: () => [],
  clear: () => {},
  orphans: () => []
}

/** Start times are relative to the boot, so groups recorded in an earlier boot are ignored. */
const readBoot = (): string => readOrEmpty("/proc/sys/kernel/random/boot_id").trim()

const groupIn = (file: string, boot: string): ReadonlyArray<Group> => {
  const [recordedBoot, pid, startTime] = readOrEmpty(file).split(" ")
  return recordedBoot === boot && startTime !== undefined ? [{ pid: Number(pid), startTime }] : []
}

/** Opens the records in a folder; without a folder nothing is recorded. */
export const open = (folder: string, ownMark: string): Records => {
  if (folder === "") return none
  const [variable = "", own = ""] = ownMark.split("=")
  const boot = readBoot()
  const fileOf = (mark: string): string => join(folder, mark.slice(variable.length + 1))
  const write = (mark: string, text: string): void => writeFileSync(fileOf(mark), text, { mode: 0o600 })
  const serverOf = (name: string): string => name.split(".")[0] ?? name
  const namesOf = (server: string): ReadonlyArray<string> =>
    readdirSync(folder).filter((name) => serverOf(name) === server)
  const removeAll = (server: string): void => {
    for (const name of namesOf(server)) rmSync(join(folder, name), { force: true })
  }

  const groupsOf = (server: string): ReadonlyArray<Group> =>
    namesOf(server).flatMap((name) => groupIn(join(folder, name), boot))

  mkdirSync(folder, { recursive: true, mode: 0o700 })
  return {
    addServer: () => write(ownMark, boot),
    add: (mark, { pid, startTime }) => {
      if (startTime === undefined) return
      try {
        write(mark, `${boot} ${pid} ${startTime}`)
      } catch {
        // If the disk is full, the mark still identifies the agent, since that of its server is recorded.
      }
    },
    remove: (mark) => rmSync(fileOf(mark), { force: true }),
    ownGroups: () => groupsOf(own),
    clear: () => removeAll(own),
    orphans: () =>
      [...new Set(readdirSync(folder).map(serverOf))]
        // Dot files are not records.
        .filter((server) => server !== own && server !== "")
        .map((server) => ({
          mark: `${variable}=${server}.`,
          groups: groupsOf(server),
          remove: () => removeAll(server)
        }))
  }
}
