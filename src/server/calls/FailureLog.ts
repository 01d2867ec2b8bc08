/**
 * Logs why a call failed on the server's side, as an option. Of a failed agent it has the kind of failure and never the
 * words, which may be those of the prompt or the answer.
 */
import { Context, Effect, Schema } from "effect"
import type { RunFailed } from "../../api/Errors.ts"

/** Whether failures of calls are logged. */
export const Enabled = Context.Reference("effect-clawdforge/server/calls/FailureLog/Enabled", {
  defaultValue: () => false
})

type Failure = RunFailed | { readonly _tag: string }

const isRunFailed = (failure: Failure): failure is RunFailed => failure._tag === "RunFailed"

const warn = (failure: Failure) => {
  if (!isRunFailed(failure)) {
    return Effect.annotateLogs(Effect.logWarning("call refused"), { error_type: failure._tag })
  }
  const { isUnrecorded, origin, stopReason } = failure
  return Effect.annotateLogs(Effect.logWarning(isUnrecorded === true ? "call not recorded" : "agent failed"), {
    ...(origin === undefined ? {} : { agent: origin.agent }),
    stop_reason: stopReason,
    error_type: origin?.kind ?? (isUnrecorded === true ? "unrecorded" : "error")
  })
}

const ifEnabled = (warning: Effect.Effect<void>): Effect.Effect<void> =>
  Effect.flatMap(Enabled, (enabled) => (enabled ? warning : Effect.void))

/** Logs a failure, if they are to be logged. The request's id, app and session are those of the fiber. */
export const log = (failure: Failure): Effect.Effect<void> => ifEnabled(warn(failure))

const decodeStopReason = Schema.decodeEffect(Schema.fromJsonString(Schema.Struct({ stop_reason: Schema.String })))

interface Answer {
  readonly status: number
  readonly body: string
}

/** Logs a failure that was kept, and is the answer to a repeat of its call. */
export const logKept = ({ body, status }: Answer): Effect.Effect<void> =>
  ifEnabled(
    status < 500
      ? Effect.void
      : decodeStopReason(body).pipe(
          Effect.orElseSucceed(() => ({})),
          Effect.flatMap((fields) =>
            Effect.annotateLogs(Effect.logWarning("kept failure repeated"), { ...fields, error_type: "kept" })
          )
        )
  )
