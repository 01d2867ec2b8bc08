/**
 * An answer as it stands on the wire: what is kept for a repeat of its call, and what ends an event stream.
 */
import { Effect, Schema } from "effect"
import { HttpServerResponse } from "effect/http"
import {
  type FileNotFound,
  type Invalid,
  type NotReady,
  type PoolFull,
  type RunFailed,
  RunFailedBody,
  type SessionIsClosed,
  type TooMany,
  type TooManyRuns,
  type Unauthorized
} from "../../api/Errors.ts"
import type { SessionId } from "../../wire/Ids.ts"
import { sentences } from "../../wire/Failures.ts"

export interface WireAnswer {
  readonly status: number
  /** JSON. */
  readonly body: string
  /** The session that it opened. */
  readonly sessionId?: SessionId | undefined
}

/** What the calls that have an agent act can fail with. */
export type CallFailure =
  | FileNotFound
  | Invalid
  | NotReady
  | PoolFull
  | RunFailed
  | SessionIsClosed
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
  TooManyRuns: 503
}

const encodeRunFailed = Schema.encodeEffect(Schema.fromJsonString(RunFailedBody))

/** A failure as the wire has it. */
export const fromFailure = Effect.fnUntraced(function* (failure: CallFailure): Effect.fn.Return<WireAnswer> {
  const body =
    failure._tag === "RunFailed"
      ? yield* Effect.orDie(encodeRunFailed(failure))
      : JSON.stringify({ detail: failure.detail })
  return { status: statuses[failure._tag], body }
})

/** A failure of the agent's, of which no more is known. */
export const failed = (error: string, stopReason: string): WireAnswer => ({
  status: 502,
  body: JSON.stringify({ ok: false, error, stderr: "", duration_ms: 0, stop_reason: stopReason })
})

/** A failure of the server's own. */
export const serverError: WireAnswer = { status: 500, body: JSON.stringify({ detail: sentences.serverError }) }

/** What a call answers as the wire has it, its failures too. */
export const from = <S extends Schema.ConstraintEncoder<unknown>>(
  schema: S,
  opened: (answer: S["Type"]) => SessionId | undefined = () => undefined
) => {
  const encode = Schema.encodeEffect(Schema.fromJsonString(schema))
  return (call: Effect.Effect<S["Type"], CallFailure>): Effect.Effect<WireAnswer> =>
    Effect.matchEffect(call, {
      onSuccess: (answer) =>
        Effect.map(Effect.orDie(encode(answer)), (body): WireAnswer => ({
          status: 200,
          body,
          sessionId: opened(answer)
        })),
      onFailure: fromFailure
    })
}

export const toResponse = ({ body, status }: WireAnswer): HttpServerResponse.HttpServerResponse =>
  HttpServerResponse.text(body, { status, contentType: "application/json" })
