/**
 * Turns an agent's failure into the contract's, which also has the time that it took.
 */
import { Effect, flow } from "effect"
import type { AgentFailed } from "../../agent/Agent.ts"
import { RunFailed } from "../../api/Errors.ts"
import type { Stopwatch } from "../Stopwatch.ts"

/** Fails with an agent's failure as `RunFailed`, whose duration is that of the stopwatch. */
export const toRunFailed = (elapsed: Stopwatch) =>
  Effect.fnUntraced(function* ({ error, stderr, stopReason }: Pick<AgentFailed, "error" | "stderr" | "stopReason">) {
    return yield* new RunFailed({ error, stderr, stopReason, duration: yield* elapsed })
  })

/** The same for an agent that could not start, and so never had the work. */
export const toRunFailedBeforeWork = (elapsed: Stopwatch) =>
  flow(
    toRunFailed(elapsed),
    Effect.mapError((failure) => RunFailed.beforeWork(failure))
  )
