/**
 * The contract's form of an agent's failure, which says how long it took.
 */
import { Effect } from "effect"
import type { AgentFailed } from "../../agent/Agent.ts"
import { RunFailed } from "../../api/Errors.ts"
import type { Stopwatch } from "../Stopwatch.ts"

/** Fails with what the agent failed with, so long after the start. */
export const from = (elapsed: Stopwatch) =>
  Effect.fnUntraced(function* ({ error, stderr, stopReason }: Pick<AgentFailed, "error" | "stderr" | "stopReason">) {
    return yield* new RunFailed({ error, stderr, stopReason, duration: yield* elapsed })
  })
