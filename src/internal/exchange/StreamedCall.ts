/**
 * A call whose answer is streamed, over as many connections as that takes.
 *
 * Until its first event it is retried like any other call. From then on a broken connection is opened again after the last
 * event that was received, where the server numbers its events: no event is lost, and none is given twice.
 */
import { type Array, Clock, Duration, Effect, Exit, Scope } from "effect"
import type { ApiError, AuthError, SessionClosed, TransportError } from "../../ForgeError.ts"
import * as EventStreamReader from "./EventStreamReader.ts"
import * as Retry from "./Retry.ts"

type Failure = AuthError | ApiError | TransportError | SessionClosed

export interface StreamedCall<A, E> extends Omit<Retry.Retryable<unknown, E>, "attempt" | "abandoned"> {
  /** Opens a connection that gives what follows on what was received before. */
  readonly connect: (
    prior: Retry.PriorAttempts,
    received: EventStreamReader.Received
  ) => Effect.Effect<EventStreamReader.Items<A, E>, E, Scope.Scope>
  /** The error of a connection over which the server keeps the caller waiting for longer than the deadline. */
  readonly onDeadline: E
  /** How long the caller waits for the next event, whatever happens meanwhile. */
  readonly idle: { readonly within: Duration.Duration; readonly error: E } | undefined
}

/** Attempts without progress to open a broken stream again. They only read, and a server may take a while to restart. */
const minResumes = 8

const isBroken = (error: Failure): boolean =>
  error._tag === "TransportError" && error.reason._tag === "Reset" && error.outcome === "unknown"

const isTimeout = (error: Failure): boolean => error._tag === "TransportError" && error.reason._tag === "Timeout"

/** Runs effects that wait for the server, for so long in all. The time between them does not count. */
const makePatience = <E>(deadline: Duration.Duration, onDeadline: E) => {
  let left = Duration.toMillis(deadline)
  return Effect.fnUntraced(function* <A, E2, R>(wait: Effect.Effect<A, E2, R>) {
    const began = yield* Clock.monotonicTimeNanos
    const result = yield* Effect.timeoutOrElse(wait, { duration: left, orElse: () => Effect.fail(onDeadline) })
    left -= Number((yield* Clock.monotonicTimeNanos) - began) / 1e6
    return result
  })
}

/** An open connection, and the first that it gave. */
interface Connection<A, E> {
  readonly next: EventStreamReader.Items<A, E>["next"]
  readonly first: Array.NonEmptyReadonlyArray<EventStreamReader.Item<A>>
  readonly scope: Scope.Closeable
}

/** What follows of a call, until the scope closes. Nothing is sent before the first pull. */
export const open = Effect.fnUntraced(function* <A, E extends Failure>(
  call: StreamedCall<A, E>,
  bounds: Retry.Bounds
): Effect.fn.Return<EventStreamReader.Items<A, E>, never, Scope.Scope> {
  const scope = yield* Effect.scope
  const received = EventStreamReader.nothing()
  const resumeBounds = bounds.times === 0 ? bounds : { ...bounds, times: Math.max(bounds.times, minResumes) }
  let connection: Connection<A, E> | undefined = undefined
  let isOver = false
  // The connecting has its own, which knows of attempts that were refused.
  const abandon = Effect.suspend(() =>
    connection === undefined || isOver || call.onAbandoned === undefined ? Effect.void : call.onAbandoned
  )
  yield* Effect.addFinalizer(() => abandon)

  const attempt: Retry.Attempt<Connection<A, E>, E> = Effect.fnUntraced(function* (prior) {
    const own = yield* Scope.fork(scope)
    const wait = makePatience(call.deadline, call.onDeadline)
    return yield* wait(
      Effect.gen(function* () {
        const { next } = yield* call.connect(prior, received)
        return { next, first: yield* next }
      })
    ).pipe(
      Effect.map(({ first, next }): Connection<A, E> => ({ first, next: wait(next), scope: own })),
      Scope.provide(own),
      Effect.onError((cause) => Scope.close(own, Exit.failCause(cause)))
    )
  })

  const resume = Effect.fnUntraced(function* (broken: Connection<A, E>, error: E) {
    yield* Scope.close(broken.scope, Exit.fail(error))
    if (!isBroken(error) || !received.isNumbered) return yield* Effect.fail(error)
    return yield* Retry.resume({ ...call, attempt, onAbandoned: undefined }, resumeBounds, error)
  })

  const connect = Effect.suspend(() => Retry.run({ ...call, attempt }, bounds))

  const next = Effect.gen(function* () {
    if (connection === undefined) {
      connection = yield* connect
      return connection.first
    }
    const current: Connection<A, E> = connection
    return yield* Effect.catch(
      current.next,
      Effect.fnUntraced(function* (error) {
        connection = yield* resume(current, error)
        return connection.first
      })
    )
  })

  const { idle } = call
  const timed =
    idle === undefined
      ? next
      : Effect.timeoutOrElse(next, { duration: idle.within, orElse: () => Effect.fail(idle.error) })

  const noted = timed.pipe(
    Effect.tap((items) =>
      Effect.sync(() => {
        isOver = items.at(-1)?._tag === "Answer"
      })
    ),
    Effect.tapError((error) =>
      Effect.sync(() => {
        // After a time-out the agent may still be at work.
        isOver = !isTimeout(error)
      })
    )
  )
  return { next: noted }
})
