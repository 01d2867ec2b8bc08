/**
 * An answer as it stands on the wire: what is kept for a repeat of its call, and what ends an event stream.
 */
import { Effect, Schema } from "effect"
import { HttpServerResponse } from "effect/http"
import {
  type FileNotFound,
  type Invalid,
  type PoolFull,
  type RunFailed,
  RunFailedBody,
  type SessionIsClosed,
  type TooMany,
  type TooManyRuns,
  type Unauthorized
} from "../api/Api.ts"

export interface WireAnswer {
  readonly status: number
  /** JSON. */
  readonly body: string
}

/** What the calls that have an agent act can fail with. */
export type CallFailure =
  | FileNotFound
  | Invalid
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

/** What a call answers as the wire has it, its failures too. */
export const from = <S extends Schema.ConstraintEncoder<unknown>>(schema: S) => {
  const encode = Schema.encodeEffect(Schema.fromJsonString(schema))
  return (call: Effect.Effect<S["Type"], CallFailure>): Effect.Effect<WireAnswer> =>
    call.pipe(
      Effect.flatMap((answer) => Effect.orDie(encode(answer))),
      Effect.matchEffect({
        onSuccess: (body) => Effect.succeed<WireAnswer>({ status: 200, body }),
        onFailure: fromFailure
      })
    )
}

export const toResponse = ({ body, status }: WireAnswer): HttpServerResponse.HttpServerResponse =>
  HttpServerResponse.text(body, { status, contentType: "application/json" })
