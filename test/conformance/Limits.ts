/**
 * The bounds of the servers that the suite starts: low enough that a case can reach them, high enough that no case reaches
 * them by accident.
 */
import { ByteSize } from "effect"

export const bounds = { sessions: 14, appSessions: 5, appTurns: 2, upload: 200_000, runs: 8, processes: 32 }

/** The same as options. */
export const limits = {
  maxOpenSessions: bounds.sessions,
  maxAppSessions: bounds.appSessions,
  maxAppTurns: bounds.appTurns,
  maxUpload: ByteSize.bytes(bounds.upload),
  maxRuns: bounds.runs,
  maxProcesses: bounds.processes
}
