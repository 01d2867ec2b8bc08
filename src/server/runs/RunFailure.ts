/**
 * The contract's form of an agent's failure, which says how long it took.
 */
import { Clock, Duration, Effect } from "effect"
import type { AgentFailed } from "../../agent/Agent.ts"
import { RunFailed } from "../../api/Api.ts"

/** The time since the clock stood there. */
export const elapsedSince = (start: number) =>
  Effect.map(Clock.currentTimeMillis, (now) => Duration.millis(now - start))

/** Fails with what the agent failed with, since the clock stood there. */
export const from = (start: number) =>
  Effect.fnUntraced(function* ({ error, stderr, stopReason }: Pick<AgentFailed, "error" | "stderr" | "stopReason">) {
    return yield* new RunFailed({ error, stderr, stopReason, duration: yield* elapsedSince(start) })
  })
