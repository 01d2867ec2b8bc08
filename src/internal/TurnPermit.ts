/**
 * The permit of a session: one turn at a time is sent, in the order in which the turns were requested.
 */
import { Effect, Fiber, Semaphore } from "effect"

/** More permits than turns can wait for. */
const allPermits = Number.MAX_SAFE_INTEGER

/** Methods are on the prototype, so that an idle session costs only the fields. */
export class TurnPermit {
  readonly #semaphore = Semaphore.makeUnsafe(1)
  #cancelling: Fiber.Fiber<unknown, unknown> | undefined = undefined

  /** Runs a turn once those before it have ended. A turn that is interrupted while it waits leaves no trace. */
  run<A, E, R>(turn: Effect.Effect<A, E, R>): Effect.Effect<A, E, R> {
    return this.#semaphore.withPermit(
      Effect.suspend(() =>
        this.#cancelling === undefined ? turn : Effect.andThen(Fiber.await(this.#cancelling), turn)
      )
    )
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
