/**
 * Repeating a call that failed, by what is known of its outcome.
 *
 * Repeated are a call that was not sent, one that the server refused for now (429, or a 503 of the contract's own), and
 * one of unknown outcome that is harmless to repeat: a GET, a DELETE, or a POST under a key that the server remembers.
 * Where the server may have acted on an earlier try, no later one makes that undone: the error says so.
 */
import { Clock, Deferred, Duration, Effect, Random } from "effect"
import type { RetryOptions } from "../ForgeClient.ts"
import type { ApiError, AuthError, TransportError } from "../ForgeError.ts"

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
export const bounds = ({ budget, maxPause, maxRetryAfter, pause, times = 3 }: RetryOptions): Bounds => ({
  times,
  pause: millis(pause, 200),
  maxPause: millis(maxPause, 5_000),
  maxRetryAfter: millis(maxRetryAfter, 30_000),
  budget: millis(budget, 60_000)
})

type CallError = AuthError | ApiError | TransportError

/**
 * What repeating a call would do: it does nothing anyway, nothing more, nothing more where the server remembers its key, or
 * the same again.
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
const isOpen = (error: CallError, kind: Kind): boolean =>
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
    if (isOpen(error, call.kind)) open = error
    const pause = yield* pauseBefore(error, repeats, bounds)
    if (pause === undefined || pause > (yield* left)) break
    const goesOn = mayGoOn(call, open ?? error, { pause, left })
    if (!(yield* open === undefined ? goesOn : tellAbandoned(call, goesOn))) break
    // A server that remembers the key says what became of the first try.
    const before = { repeats: repeats + 1, isOpen: open !== undefined && call.kind !== "keyed" }
    const result = yield* Effect.result(tellAbandoned(call, call.attempt(before)))
    if (result._tag === "Success") return result.success
    error = result.failure
  }
  // A repeat that was not taken says nothing about an earlier try whose outcome is open.
  const isUntaken = mayRepeat(error, call.kind) && !isOpen(error, call.kind)
  return yield* Effect.fail(isUntaken && open !== undefined ? open : error)
})

/** Waits for the next try, unless the call was given up meanwhile, or would act twice. */
const mayGoOn = Effect.fnUntraced(function* <A, E>(
  call: Repeatable<A, E>,
  error: CallError,
  { left, pause }: { readonly pause: number; readonly left: Effect.Effect<number> }
) {
  if (yield* isAbandonedWithin(pause, call, error)) return false
  return call.kind !== "keyed" || !isOpen(error, call.kind) || (yield* isRemembered(call, yield* left))
})

/** Asking takes its time from the budget too. */
const isRemembered = <A, E>(call: Repeatable<A, E>, within: number): Effect.Effect<boolean> =>
  Effect.timeoutOrElse(call.remembersKeys, { duration: within, orElse: () => Effect.succeed(false) })

/**
 * Waits, and tells whether the call was given up meanwhile. One that the server may have acted on is not given up: what
 * it did has to be found out.
 */
const isAbandonedWithin = <A, E>(pause: number, call: Repeatable<A, E>, error: CallError): Effect.Effect<boolean> =>
  call.abandoned === undefined || isOpen(error, call.kind)
    ? Effect.as(Effect.sleep(pause), false)
    : Deferred.await(call.abandoned).pipe(
        Effect.as(true),
        Effect.timeoutOrElse({ duration: pause, orElse: () => Effect.succeed(false) })
      )
