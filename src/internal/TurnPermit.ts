/**
 * The permit of a session: one turn at a time is sent, in the order in which the turns were requested.
 */
import { Effect, Fiber, type Scope, Semaphore } from "effect"

/** More permits than turns can wait for. */
const allPermits = Number.MAX_SAFE_INTEGER

/** Methods are on the prototype, so that an idle session costs only the fields. */
export class TurnPermit {
  readonly #semaphore = Semaphore.makeUnsafe(1)
  #cancelling: Fiber.Fiber<unknown, unknown> | undefined = undefined
  /** The fiber that reads the stream of the turn in flight. */
  #reader: Fiber.Fiber<unknown, unknown> | undefined = undefined

  /** Runs a turn once those before it have ended. A turn that is interrupted while it waits leaves no trace. */
  run<A, E, R>(turn: Effect.Effect<A, E, R>): Effect.Effect<A, E, R> {
    return this.#semaphore.withPermit(Effect.andThen(this.#cancelled, turn))
  }

  /** Takes the permit for a stream, until the scope closes. */
  get hold(): Effect.Effect<unknown, never, Scope.Scope> {
    const unread = Effect.addFinalizer(() =>
      Effect.sync(() => {
        this.#reader = undefined
      })
    )
    return this.#semaphore.takeScoped(1).pipe(Effect.andThen(unread), Effect.andThen(this.#cancelled))
  }

  /** Runs a pull of the stream that holds the permit. */
  pull<A, E, R>(pull: Effect.Effect<A, E, R>): Effect.Effect<A, E, R> {
    return Effect.withFiber((fiber) => {
      this.#reader = fiber
      return pull
    })
  }

  /** Whether a fiber would wait for itself: it reads the stream that holds the permit. */
  isReadBy(fiber: Fiber.Fiber<unknown, unknown>): boolean {
    return this.#reader === fiber
  }

  /** Waits for the cancel of the turn before. */
  get #cancelled(): Effect.Effect<unknown> {
    return Effect.suspend(() => (this.#cancelling === undefined ? Effect.void : Fiber.await(this.#cancelling)))
  }

  /** Makes the next turn wait for a cancel that is still under way on the server, which would hit that turn instead. */
  awaitCancel(cancelling: Fiber.Fiber<unknown, unknown>): void {
    this.#cancelling = cancelling
  }

  /** Lets every waiting turn go on at once, to find the session closed. */
  get releaseAll(): Effect.Effect<void> {
    return this.#semaphore.resize(allPermits)
  }
}
