/**
 * Repeating a call that failed, by what is known of its outcome.
 *
 * Repeated are a call that was not sent, one that the server refused for now (429, or a 503 of the contract's own), and
 * one of unknown outcome that is harmless to repeat: a GET, a DELETE, or a POST under a key that the server remembers.
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

/** What repeating a call would do: nothing more, nothing more where the server remembers its key, or the same again. */
export type Kind = "idempotent" | "keyed" | "once"

/** Whether a failed call may be sent again: `if-remembered` is up to whether the server remembers its key. */
const mayRepeat = (error: CallError, kind: Kind): "yes" | "no" | "if-remembered" => {
  if (error._tag === "AuthError") return "no"
  switch (error.outcome) {
    case "not-sent":
      return error._tag === "TransportError" ? "yes" : "no"
    case "refused":
      return error._tag === "ApiError" && (error.status === 429 || error.status === 503) ? "yes" : "no"
    case "unknown":
      if (error.reason._tag === "Malformed" || error.reason._tag === "RunFailed") return "no"
      return kind === "idempotent" ? "yes" : kind === "keyed" ? "if-remembered" : "no"
    case "acted":
      return "no"
  }
}

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
  /** Sends it, told how often it was repeated by then. */
  readonly attempt: (repeats: number) => Effect.Effect<A, E>
  /** Whether the server remembers the keys of calls; asked anew each time. */
  readonly remembersKeys: Effect.Effect<boolean>
  /** Done when nobody waits for the call any more: then it is not repeated. */
  readonly abandoned?: Deferred.Deferred<void> | undefined
}

/** Runs a call, and repeats it as far as its failures and the bounds allow. */
export const run = <A, E extends CallError>(call: Repeatable<A, E>, bounds: Bounds): Effect.Effect<A, E> =>
  bounds.times === 0 ? call.attempt(0) : Effect.catch(call.attempt(0), (error) => repeat(call, bounds, error))

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
    const verdict = mayRepeat(error, call.kind)
    if (verdict === "no") break
    if (verdict === "if-remembered") open = error
    const pause = yield* pauseBefore(error, repeats, bounds)
    if (pause === undefined || pause > (yield* left)) break
    if (yield* isAbandonedWithin(pause, call, open ?? error)) break
    if (open !== undefined && !(yield* isRemembered(call, yield* left))) break
    const result = yield* Effect.result(call.attempt(repeats + 1))
    if (result._tag === "Success") return result.success
    error = result.failure
  }
  // A repeat that was not taken says nothing about an earlier try whose outcome is open.
  return yield* Effect.fail(open !== undefined && mayRepeat(error, call.kind) === "yes" ? open : error)
})

/** Asking takes its time from the budget too. */
const isRemembered = <A, E>(call: Repeatable<A, E>, within: number): Effect.Effect<boolean> =>
  Effect.timeoutOrElse(call.remembersKeys, { duration: within, orElse: () => Effect.succeed(false) })

/**
 * Waits, and tells whether the call was given up meanwhile. One that the server may have acted on is not given up: what
 * it did has to be found out.
 */
const isAbandonedWithin = <A, E>(pause: number, call: Repeatable<A, E>, error: CallError): Effect.Effect<boolean> => {
  const mayHaveActed = error._tag !== "AuthError" && error.outcome === "unknown"
  return call.abandoned === undefined || mayHaveActed
    ? Effect.as(Effect.sleep(pause), false)
    : Deferred.await(call.abandoned).pipe(
        Effect.as(true),
        Effect.timeoutOrElse({ duration: pause, orElse: () => Effect.succeed(false) })
      )
}
