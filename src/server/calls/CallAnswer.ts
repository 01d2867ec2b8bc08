/**
 * The answer to a call, as status and JSON body: it is sent, kept for repeats of the call, and ends an event stream.
 */
import { Effect, Schema } from "effect"
import {
  type FileNotFound,
  type Invalid,
  type NotReady,
  type PoolFull,
  type RunFailed,
  RunFailedBody,
  type SessionIsClosed,
  type StorageUnavailable,
  type TooMany,
  type TooManyRuns,
  type Unauthorized
} from "../../api/Errors.ts"
import type { SessionId } from "../../wire/Ids.ts"
import * as FailureLog from "./FailureLog.ts"
import * as StorageFailure from "../storage/StorageFailure.ts"
import { sentences } from "../../wire/Failures.ts"

export interface CallAnswer {
  readonly status: number
  /** JSON. */
  readonly body: string
  /** The session that the call created. */
  readonly sessionId?: SessionId | undefined
  /** Whether the call is known to have done nothing, whatever its status. */
  readonly didNothing?: boolean | undefined
  /** Whether it says that the ledger could not be written, so that the outcome is unknown. */
  readonly isUnrecorded?: boolean | undefined
}

/** The failures of calls. */
export type CallFailure =
  | FileNotFound
  | Invalid
  | NotReady
  | PoolFull
  | RunFailed
  | SessionIsClosed
  | StorageUnavailable
  | TooMany
  | TooManyRuns
  | Unauthorized

const statuses: Readonly<Record<CallFailure["_tag"], number>> = {
  Unauthorized: 401,
  FileNotFound: 404,
  SessionIsClosed: 410,
  Invalid: 422,
  TooMany: 429,
  RunFailed: 502,
  NotReady: 503,
  PoolFull: 503,
  StorageUnavailable: 503,
  TooManyRuns: 503
}

const encodeRunFailed = Schema.encodeEffect(Schema.fromJsonString(RunFailedBody))

/** The answer to a call that failed. */
export const fromFailure = Effect.fnUntraced(function* (failure: CallFailure): Effect.fn.Return<CallAnswer> {
  if (failure._tag === "StorageUnavailable") yield* StorageFailure.log(failure)
  const status = statuses[failure._tag]
  if (status >= 500) yield* FailureLog.log(failure)
  if (failure._tag !== "RunFailed") return { status, body: JSON.stringify({ detail: failure.detail }) }
  const { isBeforeWork: didNothing, isUnrecorded } = failure
  return { status, body: yield* Effect.orDie(encodeRunFailed(failure)), didNothing, isUnrecorded }
})

/** The answer of a failed agent of which nothing else is known. */
export const failed = (error: string, stopReason: string): CallAnswer => ({
  status: 502,
  body: JSON.stringify({ ok: false, error, stderr: "", duration_ms: 0, stop_reason: stopReason })
})

/** The answer to a call that failed with a defect. */
export const serverError: CallAnswer = { status: 500, body: JSON.stringify({ detail: sentences.serverError }) }

/** Encodes the success or the failure of a call. `createdBy` is the session that a success has created. */
export const from = <S extends Schema.ConstraintEncoder<unknown>>(
  schema: S,
  createdBy: (answer: S["Type"]) => SessionId | undefined = () => undefined
) => {
  const encode = Schema.encodeEffect(Schema.fromJsonString(schema))
  return (call: Effect.Effect<S["Type"], CallFailure>): Effect.Effect<CallAnswer> =>
    Effect.matchEffect(call, {
      onSuccess: (answer) =>
        Effect.map(Effect.orDie(encode(answer)), (body): CallAnswer => ({
          status: 200,
          body,
          sessionId: createdBy(answer)
        })),
      onFailure: fromFailure
    })
}
