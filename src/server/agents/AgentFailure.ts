/**
 * Turns an agent's failure into the contract's, which also has the time that it took.
 */
import { type Duration, Effect, flow } from "effect"
import type { AgentFailed } from "../../agent/Agent.ts"
import { RunFailed } from "../../api/Errors.ts"
import type { Stopwatch } from "../Stopwatch.ts"

type Failure = Pick<AgentFailed, "error" | "kind" | "stderr" | "stopReason">

/** An agent's failure as `RunFailed`. */
export const runFailed = (
  { error, kind, stderr, stopReason }: Failure,
  { agent, duration }: { readonly agent: string; readonly duration: Duration.Duration }
): RunFailed =>
  RunFailed.of(new RunFailed({ error, stderr, stopReason, duration }), { agent, kind: kind ?? stopReason })

/** Fails with an agent's failure as `RunFailed`, whose duration is that of the stopwatch. */
export const toRunFailed = (elapsed: Stopwatch, agent: string) =>
  Effect.fnUntraced(function* (failure: Failure) {
    return yield* runFailed(failure, { agent, duration: yield* elapsed })
  })

/** The same for an agent that could not start, and so never had the work. */
export const toRunFailedBeforeWork = (elapsed: Stopwatch, agent: string) =>
  flow(
    toRunFailed(elapsed, agent),
    Effect.mapError((failure) => RunFailed.beforeWork(failure))
  )
