/**
 * The processes of the agent that is tried.
 */
import { Effect } from "effect"
import { readFileSync, readlinkSync } from "node:fs"
import type { SessionInfo } from "../../src/index.ts"
import { eventually } from "../support/Eventually.ts"
import * as Processes from "../support/Processes.ts"
import { CheckFailed } from "./Expect.ts"
import { Trial } from "./Trial.ts"

/** The folder that a process works in, and whether it leads a process group. */
const factsOf = (pid: number) => {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, "latin1")
    const group = Number(stat.slice(stat.lastIndexOf(")") + 2).split(" ")[2])
    return { cwd: readlinkSync(`/proc/${pid}/cwd`), leads: group === pid }
  } catch {
    // It has ended.
    return { cwd: "", leads: false }
  }
}

const leader = ({ cwd }: SessionInfo.SessionInfo) =>
  Trial.useSync(({ home }) =>
    Processes.withFolder(home).find((pid) => {
      const facts = factsOf(pid)
      return facts.leads && facts.cwd === cwd
    })
  )

/** The process that the server started for a session. */
export const pidOf = Effect.fnUntraced(function* (session: SessionInfo.SessionInfo) {
  const pid = yield* leader(session)
  if (pid === undefined) return yield* new CheckFailed({ message: "the session has no process" })
  return pid
})

/** Kills the process that the server started for a session, and that one alone. */
export const kill = Effect.fnUntraced(function* (session: SessionInfo.SessionInfo) {
  const pid = yield* pidOf(session)
  process.kill(pid, "SIGKILL")
  return pid
})

/** Waits until no process works in the folder of the session. */
export const gone = Effect.fnUntraced(function* (session: SessionInfo.SessionInfo) {
  const { home } = yield* Trial
  const left = () => Processes.withFolder(home).filter((pid) => factsOf(pid).cwd.startsWith(session.cwd))
  yield* Effect.sync(left).pipe(eventually("the end of the session's processes", (pids) => pids.length === 0))
})
