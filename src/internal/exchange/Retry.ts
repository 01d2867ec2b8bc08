/**
 * Repeating a call that failed, by what is known of its outcome.
 *
 * Repeated are a call that was not sent, one that the server refused for now (429, or a 503 of the contract's own), and
 * one of unknown outcome that is harmless to repeat: a GET, a DELETE, or a POST under a key that the server remembers.
 * Where the server may have acted on an earlier try, no later one undoes that: the error says so.
 */
import { Clock, Deferred, Duration, Effect, Option, Random } from "effect"
import type { RetryPolicy } from "../../RetryPolicy.ts"
import type { ApiError, AuthError, TransportError } from "../../ForgeError.ts"

/** The bounds in milliseconds. */
export interface Bounds {
  readonly times: number
  readonly pause: number
  readonly maxPause: number
  readonly maxRetryAfter: number
  readonly budget: number
}

const millis = (input: Duration.Input | undefined, otherwise: number): number =>
  input === undefined ? otherwise : Duration.toMillis(Duration.fromInputUnsafe(input))

/** Bounds from options; what is not given has its default. */
export const bounds = ({ budget, maxPause, maxRetryAfter, pause, times = 3 }: RetryPolicy): Bounds => ({
  times,
  pause: millis(pause, 200),
  maxPause: millis(maxPause, 5_000),
  maxRetryAfter: millis(maxRetryAfter, 30_000),
  budget: millis(budget, 60_000)
})

type CallError = AuthError | ApiError | TransportError

/**
 * What a repeat would do: nothing, as the call only looks (`safe`); nothing more (`idempotent`), also where only the key
 * sees to that (`keyed`); or the same again (`once`).
 */
export type Kind = "safe" | "idempotent" | "keyed" | "once"

/** What became of the tries before. */
export interface Before {
  readonly repeats: number
  /** Whether the server may have acted on one of them. */
  readonly isOpen: boolean
}

export const nothingBefore: Before = { repeats: 0, isOpen: false }

/** An answer that would be the same another time, although the outcome is unknown. */
const isFinal = (error: ApiError | TransportError): boolean =>
  error._tag === "TransportError"
    ? error.reason._tag === "Malformed"
    : error.status === 404 || error.reason._tag === "RunFailed"

/** Whether a failed call may be sent again; one under a key only if the server remembers that. */
const mayRepeat = (error: CallError, kind: Kind): boolean => {
  if (error._tag === "AuthError") return false
  switch (error.outcome) {
    case "not-sent":
      return error._tag === "TransportError"
    case "refused":
      return error._tag === "ApiError" && (error.status === 429 || error.status === 503)
    case "unknown":
      return kind !== "once" && !isFinal(error)
    case "acted":
      return false
  }
}

/** Whether the server may have acted on a try that failed. */
const mayHaveActed = (error: CallError, kind: Kind): boolean =>
  kind !== "safe" && error._tag !== "AuthError" && error.outcome === "unknown"

/** How long to wait before the next try; undefined where the server asks for more than is allowed. */
const pauseBefore = Effect.fnUntraced(function* (error: CallError, repeat: number, bounds: Bounds) {
  const varied = bounds.pause * 2 ** repeat * (1 + (yield* Random.next) / 2)
  const chosen = Math.min(varied, bounds.maxPause)
  if (error._tag !== "ApiError" || error.retryAfter === undefined) return chosen
  const asked = Duration.toMillis(error.retryAfter)
  return asked > bounds.maxRetryAfter ? undefined : Math.max(asked, chosen)
})

/** A call that can be repeated. */
export interface Repeatable<A, E> {
  readonly kind: Kind
  readonly attempt: (before: Before) => Effect.Effect<A, E>
  /** Whether the server remembers the keys of calls; asked anew each time. */
  readonly remembersKeys: Effect.Effect<boolean>
  /** Done when nobody waits for the call any more: then it is not repeated. */
  readonly abandoned?: Deferred.Deferred<void> | undefined
  /** Run when it is interrupted while the server may be at work on it: not before a try, nor after a refusal. */
  readonly onAbandoned?: Effect.Effect<void> | undefined
}

/** Runs a call, and repeats it as far as its failures and the bounds allow. */
export const run = <A, E extends CallError>(call: Repeatable<A, E>, bounds: Bounds): Effect.Effect<A, E> => {
  const first = tellAbandoned(call, call.attempt(nothingBefore))
  return bounds.times === 0 ? first : Effect.catch(first, (error) => repeat(call, bounds, error))
}

const tellAbandoned = <A, E, B, F>({ onAbandoned }: Repeatable<A, E>, atWork: Effect.Effect<B, F>) =>
  onAbandoned === undefined ? atWork : Effect.onInterrupt(atWork, () => onAbandoned)

const repeat = Effect.fnUntraced(function* <A, E extends CallError>(
  call: Repeatable<A, E>,
  bounds: Bounds,
  first: E
): Effect.fn.Return<A, E> {
  const until = (yield* Clock.currentTimeMillis) + bounds.budget
  const left = Effect.map(Clock.currentTimeMillis, (now) => until - now)
  let error = first
  let open: E | undefined = undefined
  for (let repeats = 0; repeats < bounds.times; repeats++) {
    if (!mayRepeat(error, call.kind)) break
    if (mayHaveActed(error, call.kind)) open = error
    const pause = yield* pauseBefore(error, repeats, bounds)
    if (pause === undefined || pause > (yield* left)) break
    const isOpen = open !== undefined
    const goesOn = mayGoOn(call, { isOpen, pause, left })
    if (!(yield* isOpen ? tellAbandoned(call, goesOn) : goesOn)) break
    // A server that remembers the key says what became of the first try.
    const before = { repeats: repeats + 1, isOpen: isOpen && call.kind !== "keyed" }
    const result = yield* Effect.result(tellAbandoned(call, call.attempt(before)))
    if (result._tag === "Success") return result.success
    error = result.failure
  }
  // A repeat that was not taken says nothing about an earlier try whose outcome is open.
  const isUntaken = mayRepeat(error, call.kind) && !mayHaveActed(error, call.kind)
  return yield* Effect.fail(isUntaken && open !== undefined ? open : error)
})

/** What is to be waited for before the next try, and whether the server may have acted on one of those before. */
interface Wait {
  readonly isOpen: boolean
  readonly pause: number
  /** What is left of the budget. */
  readonly left: Effect.Effect<number>
}

/** Waits for the next try, and tells whether it may come: not if the call was given up meanwhile, or would act twice. */
const mayGoOn = Effect.fnUntraced(function* <A, E>(call: Repeatable<A, E>, { isOpen, left, pause }: Wait) {
  if (!isOpen) return !(yield* isAbandonedWithin(pause, call))
  // What the server may have done has to be found out, also for a call that was given up.
  yield* Effect.sleep(pause)
  return call.kind !== "keyed" || (yield* isRemembered(call, yield* left))
})

/** Asking takes its time from the budget too. */
const isRemembered = <A, E>(call: Repeatable<A, E>, within: number): Effect.Effect<boolean> =>
  Effect.timeoutOrElse(call.remembersKeys, { duration: within, orElse: () => Effect.succeed(false) })

/** Waits, and tells whether the call was given up meanwhile. */
const isAbandonedWithin = <A, E>(pause: number, { abandoned }: Repeatable<A, E>): Effect.Effect<boolean> =>
  Effect.map(
    Effect.timeoutOption(abandoned === undefined ? Effect.never : Deferred.await(abandoned), pause),
    Option.isSome
  )
