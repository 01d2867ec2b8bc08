/**
 * A turn whose answer is decoded by a Schema, and repaired by further turns where it does not match.
 */
import { Clock, Duration, Effect, Redacted, Result, Schema, type Scope } from "effect"
import { ApiError, type OutputAttempt, OutputMismatch, type TurnAsError, type TurnError } from "../ForgeError.ts"
import * as Turn from "../Turn.ts"
import * as Input from "./calls/Input.ts"
import type { CallInfo } from "./calls/Operation.ts"
import * as Turns from "./calls/Turns.ts"
import * as JsonAnswer from "./JsonAnswer.ts"

/** The turns of one session. */
export interface SessionTurns {
  readonly call: CallInfo
  /** Takes the session's permit, until the scope closes. */
  readonly hold: (prepared: Turns.PreparedTurn) => Effect.Effect<void, TurnError, Scope.Scope>
  /** Sends a turn under the permit. */
  readonly send: (prepared: Turns.PreparedTurn) => Effect.Effect<Turn.Turn, TurnError>
}

const checkRepairs = Input.encoder(
  Schema.Struct({
    repairs: Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: 10 }, { message: "must be 0 to 10" }))
  })
)

/** The key of a later attempt under the caller's own. */
const keyOf = (key: string | undefined, attempt: number): string | undefined =>
  key === undefined || attempt === 1 ? key : `${key}.${attempt}`

/** The shortest timeout of a turn. */
const oneSecond = 1_000_000_000n

const mismatch = (call: CallInfo, attempts: ReadonlyArray<OutputAttempt>) =>
  new ApiError({
    ...call,
    requestId: undefined,
    status: 502 as const,
    outcome: "acted",
    retryAfter: undefined,
    reason: new OutputMismatch({ attempts }),
    message: `the answer does not match its Schema, after ${attempts.length === 1 ? "one attempt" : `${attempts.length} attempts`}`
  })

/** Sends a prompt, and repairs as long as the answer does not match, under one permit and one timeout. */
export const run = Effect.fnUntraced(function* <S extends Schema.Constraint>(
  turns: SessionTurns,
  schema: S,
  prompt: string,
  options: Turn.TurnAsOptions = {}
): Effect.fn.Return<Turn.Structured<S["Type"]>, TurnAsError, S["DecodingServices"] | Scope.Scope> {
  const decode = JsonAnswer.decoder(schema)
  const { repairs } = yield* checkRepairs(Turns.send, () => ({ repairs: options.repairs ?? 2 }))
  // The prompt alone is checked first: with its instruction it is never empty.
  yield* turns.hold(yield* Turns.prepare(prompt, options))

  const until = (yield* Clock.monotonicTimeNanos) + Duration.toNanosUnsafe(Turns.timeoutOf(options))
  const failed: Array<OutputAttempt> = []
  let usage: Turn.Usage | undefined = undefined
  let asked = JsonAnswer.instruct(prompt, schema)
  for (let attempt = 1; attempt <= repairs + 1; attempt++) {
    const left = until - (yield* Clock.monotonicTimeNanos)
    if (attempt > 1 && left < oneSecond) break
    const key = keyOf(options.key, attempt)
    const prepared = yield* Turns.prepare(asked, { ...options, key, timeout: Duration.nanos(left) })
    // What is asked has the prompt in it, which is as secret alone.
    const turn = yield* turns.send({ ...prepared, secrets: [...prepared.secrets, prompt] })
    if (turn.usage !== undefined) usage = Turn.UsageReducerSum.combine(usage ?? {}, turn.usage)
    const decoded = yield* decode(turn.text)
    if (Result.isSuccess(decoded)) return { value: decoded.success, turn, attempts: attempt, usage }
    failed.push({ text: Redacted.make(turn.text), error: Redacted.make(decoded.failure) })
    // A refusal, a cancel or an answer that was cut short is not repaired.
    if (turn.stopReason !== "end_turn") break
    asked = JsonAnswer.repair(decoded.failure)
  }
  return yield* mismatch(turns.call, failed)
}, Effect.scoped)
