/**
 * Retries a call that failed, by what is known of its outcome.
 *
 * Retried are a call that was not sent, one that the server refused for now (429, or a 503 of the contract's own), and one
 * of unknown outcome that is harmless to repeat: a GET, a DELETE, or a POST whose key the server remembers. Once the server
 * may have acted on an attempt, no later refusal undoes that, and the error says so.
 */
import { Clock, Deferred, Duration, Effect, Option, Random } from "effect"
import type { ApiError, AuthError, SessionClosed, TransportError } from "../../ForgeError.ts"
import type { RetryPolicy } from "../../RetryPolicy.ts"

/** A `RetryPolicy` with its defaults filled in; times in milliseconds. */
export interface Bounds {
  readonly times: number
  readonly pause: number
  readonly maxPause: number
  readonly maxRetryAfter: number
  readonly budget: number
}

const millis = (input: Duration.Input | undefined, byDefault: number): number =>
  input === undefined ? byDefault : Duration.toMillis(Duration.fromInputUnsafe(input))

export const bounds = ({ budget, maxPause, maxRetryAfter, pause, times = 3 }: RetryPolicy): Bounds => ({
  times,
  pause: millis(pause, 200),
  maxPause: millis(maxPause, 5_000),
  maxRetryAfter: millis(maxRetryAfter, 30_000),
  budget: millis(budget, 60_000)
})

/** What an attempt can fail with. */
type Failure = AuthError | ApiError | TransportError | SessionClosed

/**
 * What a second attempt would do: nothing, since the call only reads (`safe`); nothing more (`idempotent`), or only because
 * of its key (`keyed`); or the same again (`once`).
 */
export type Kind = "safe" | "idempotent" | "keyed" | "once"

/** What is known of the attempts before this one. */
export interface PriorAttempts {
  readonly retries: number
  /** Whether the server may have acted on one of them. */
  readonly priorOutcomeUnknown: boolean
  /** Whether one of them reached the server, which refused it. */
  readonly priorRefused: boolean
  /** Whether the server remembers the call by its key, and so answers for the attempts before too. */
  readonly isRemembered: boolean
}

export const firstAttempt: PriorAttempts = {
  retries: 0,
  priorOutcomeUnknown: false,
  priorRefused: false,
  isRemembered: false
}

/** Sends a call once. */
export type Attempt<A, E> = (prior: PriorAttempts) => Effect.Effect<A, E>

/** Whether another attempt would get the same answer, although the outcome is unknown. */
const isFinal = (error: ApiError | TransportError): boolean => {
  if (error._tag === "TransportError") return error.reason._tag === "Malformed"
  const { reason, status } = error
  const isRequestTimeout = reason._tag === "Unexpected" && reason.status === 408
  return reason._tag === "RunFailed" || (status < 500 && status !== 429 && !isRequestTimeout)
}

/** Whether a failed call may be sent again; a keyed one only if the server also remembers its key. */
const mayRetry = (error: Failure, kind: Kind): boolean => {
  if (error._tag === "AuthError" || error._tag === "SessionClosed") return false
  switch (error.outcome) {
    case "not-sent":
      return error._tag === "TransportError"
    case "refused":
      return error._tag === "TransportError" || error.status === 429 || error.status === 503
    case "unknown":
      return kind !== "once" && !isFinal(error)
    case "acted":
      return false
  }
}

/** Whether the server may have acted on an attempt that failed. */
const mayHaveActed = (error: Failure, kind: Kind): boolean =>
  kind !== "safe" && "outcome" in error && error.outcome === "unknown"

/** How long to wait before the next attempt; undefined where the server asks for more than is allowed. */
const pauseBefore = Effect.fnUntraced(function* (error: Failure, counted: number, bounds: Bounds) {
  const jittered = bounds.pause * 2 ** Math.max(0, counted - 1) * (1 + (yield* Random.next) / 2)
  const chosen = Math.min(jittered, bounds.maxPause)
  if (error._tag !== "ApiError" || error.retryAfter === undefined) return chosen
  const requested = Duration.toMillis(error.retryAfter)
  return requested > bounds.maxRetryAfter ? undefined : Math.max(requested, chosen)
})

/** A call that can be retried. */
export interface Retryable<A, E> {
  readonly kind: Kind
  readonly attempt: Attempt<A, E>
  /** Whether the server remembers keys; evaluated before each retry that relies on it. Fails where the server cannot be asked. */
  readonly supportsIdempotency: Effect.Effect<boolean, Failure>
  /** How long the call may take at the server. */
  readonly deadline: Duration.Duration
  /** Completes once the caller has given the call up: it is not retried then. */
  readonly abandoned?: Deferred.Deferred<void> | undefined
  /** Runs on an interrupt while the server may be working on the call: not before an attempt, nor after a refusal. */
  readonly onAbandoned?: Effect.Effect<void> | undefined
}

/** What a call is doing. */
interface Progress {
  /** Whether the server may be working on the call: during an attempt, and after one whose outcome is unknown. */
  mayBeActing: boolean
}

/** How the first attempt of a call failed. */
interface First<E> {
  readonly error: E
  /** By the monotonic clock, in milliseconds. */
  readonly began: number
  readonly progress: Progress
}

/** Runs a call, and retries it as far as its failures and the bounds allow. */
export const run = <A, E extends Failure>(call: Retryable<A, E>, bounds: Bounds): Effect.Effect<A, E> =>
  Effect.suspend(() => {
    const progress: Progress = { mayBeActing: true }
    const first = call.attempt(firstAttempt)
    const all = bounds.times === 0 ? first : orRetry(first, call, bounds, progress)
    const { onAbandoned } = call
    return onAbandoned === undefined
      ? all
      : Effect.onInterrupt(all, () => (progress.mayBeActing ? onAbandoned : Effect.void))
  })

const orRetry = <A, E extends Failure>(
  first: Effect.Effect<A, E>,
  call: Retryable<A, E>,
  bounds: Bounds,
  progress: Progress
): Effect.Effect<A, E> =>
  Effect.flatMap(monotonicMillis, (began) =>
    Effect.catch(first, (error) => retry(call, bounds, { error, began, progress }))
  )

/** Goes on with a call whose first attempt failed with an error of unknown outcome. */
export const resume = Effect.fnUntraced(function* <A, E extends Failure>(
  call: Retryable<A, E>,
  bounds: Bounds,
  error: E
): Effect.fn.Return<A, E> {
  return yield* retry(call, bounds, { error, began: yield* monotonicMillis, progress: { mayBeActing: true } })
})

/** An attempt that a proxy let wait for so many milliseconds was cut by it: the server is there, and at work. */
const cutAfter = 10_000

/** Whether a proxy lost patience with a call that goes on at the server under its key. */
const isCut = (error: Failure, kind: Kind, took: number): boolean =>
  kind === "keyed" &&
  took >= cutAfter &&
  error._tag === "ApiError" &&
  error.reason._tag === "Unexpected" &&
  (error.reason.status === 502 || error.reason.status === 504)

const retry = Effect.fnUntraced(function* <A, E extends Failure>(
  call: Retryable<A, E>,
  bounds: Bounds,
  { began, error: first, progress }: First<E>
): Effect.fn.Return<A, E> {
  progress.mayBeActing = mayHaveActed(first, call.kind)
  const start = yield* monotonicMillis
  let until = start + bounds.budget
  const left = Effect.map(monotonicMillis, (now) => until - now)
  let error = first
  let took = start - began
  let priorRefused = false
  /** The last failure after which the server may have acted. */
  let unknown: E | undefined = undefined
  let retries = 0
  let counted = 0
  while (mayRetry(error, call.kind)) {
    if (isCut(error, call.kind, took)) {
      // It may be repeated as long as the call itself may take.
      until = Math.max(until, began + Duration.toMillis(call.deadline))
    } else if (counted++ >= bounds.times) break
    took = 0
    if (mayHaveActed(error, call.kind)) unknown = error
    priorRefused ||= error._tag === "ApiError" && error.outcome === "refused"
    const pause = yield* pauseBefore(error, counted, bounds)
    if (pause === undefined || pause > (yield* left)) break
    const priorOutcomeUnknown = unknown !== undefined
    const next = yield* waitForRetry(call, { priorOutcomeUnknown, pause, left })
    if (next === "stop") break
    if (next === "wait") continue
    progress.mayBeActing = true
    const sent = yield* monotonicMillis
    const result = yield* Effect.result(
      call.attempt({
        retries: ++retries,
        priorOutcomeUnknown,
        // A server that remembers the key answers for the first attempt too.
        isRemembered: call.kind === "keyed",
        priorRefused
      })
    )
    if (result._tag === "Success") return result.success
    error = result.failure
    took = (yield* monotonicMillis) - sent
    progress.mayBeActing = priorOutcomeUnknown || mayHaveActed(error, call.kind)
  }
  // A retry that was refused says nothing about an earlier attempt whose outcome is unknown.
  const isRefused = (mayRetry(error, call.kind) && !mayHaveActed(error, call.kind)) || error._tag === "AuthError"
  return yield* Effect.fail(isRefused && unknown !== undefined ? unknown : error)
})

interface Wait {
  readonly priorOutcomeUnknown: boolean
  readonly pause: number
  /** What is left of the budget. */
  readonly left: Effect.Effect<number>
}

/** What follows a pause: the retry, no retry, or another pause. */
type Next = "send" | "stop" | "wait"

/** Waits before a retry. It is not sent if the call was given up meanwhile, or could act twice. */
const waitForRetry = Effect.fnUntraced(function* <A, E>(
  call: Retryable<A, E>,
  { left, pause, priorOutcomeUnknown }: Wait
): Effect.fn.Return<Next> {
  if (!priorOutcomeUnknown) return (yield* isAbandonedWithin(pause, call)) ? "stop" : "send"
  // What the server may have done has to be found out, also for a call that was given up.
  yield* Effect.sleep(pause)
  return call.kind === "keyed" ? yield* whereRemembered(call, yield* left) : "send"
})

/** A server that cannot be asked, while it restarts for one, is asked again. The question takes its time from the budget. */
const whereRemembered = <A, E>(call: Retryable<A, E>, within: number): Effect.Effect<Next> =>
  call.supportsIdempotency.pipe(
    Effect.map((supported): Next => (supported ? "send" : "stop")),
    Effect.timeout(within),
    Effect.orElseSucceed((): Next => "wait")
  )

/** A clock that is never set back. */
const monotonicMillis = Effect.map(Clock.monotonicTimeNanos, (nanos) => Number(nanos) / 1e6)

/** Waits, and says whether the call was given up meanwhile. */
const isAbandonedWithin = <A, E>(pause: number, { abandoned }: Retryable<A, E>): Effect.Effect<boolean> =>
  Effect.map(
    Effect.timeoutOption(abandoned === undefined ? Effect.never : Deferred.await(abandoned), pause),
    Option.isSome
  )
