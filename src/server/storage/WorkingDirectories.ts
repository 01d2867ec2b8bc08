/**
 * The folders that agents work in: one for each open session, and one for each run.
 */
import { Context, type Effect, type Scope } from "effect"
import type { StartFailed } from "../StartFailed.ts"

export class WorkingDirectories extends Context.Service<
  WorkingDirectories,
  {
    /** The working directory of a session. */
    readonly ofSession: (sessionId: string) => string
    /** Creates it if it is missing, or replaced by another kind of file: an agent can do either to its own. */
    readonly make: (sessionId: string) => Effect.Effect<void>
    /** Removes it with all its content. Its agent must have ended. */
    readonly remove: (sessionId: string) => Effect.Effect<void>
    /** Removes the working directories of all other sessions. */
    readonly keepOnly: (sessionIds: ReadonlySet<string>) => Effect.Effect<void, StartFailed>
    /** Removes what the runs of a killed server left: no run outlives its server. Their agents must have ended. */
    readonly removeRuns: Effect.Effect<void, StartFailed>
    /** A working directory for one run, removed when the scope closes. Its agent must have ended by then. */
    readonly ofRun: Effect.Effect<string, never, Scope.Scope>
  }
>()("effect-clawdforge/server/storage/WorkingDirectories") {}
