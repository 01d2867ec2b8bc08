/**
 * The shutdown of a server: it refuses new work, lets running work end within a grace period, and then cancels the rest,
 * which still gets an answer.
 */
import { Context, Duration, Effect, Latch, Layer } from "effect"
import { NotReady } from "../api/Errors.ts"
import { sentences } from "../wire/Failures.ts"

export class Shutdown extends Context.Service<
  Shutdown,
  {
    readonly isUnderWay: Effect.Effect<boolean>
    /** Waits until running work is cancelled. Work that an agent has ends then, so that it still has an answer. */
    readonly graceIsOver: Effect.Effect<void>
    /** Fails at that time, for work that no agent has yet: it is safe to send it to another server. */
    readonly refusal: Effect.Effect<never, NotReady>
    /** Counts work that the shutdown waits for. */
    readonly track: <A, E, R>(effect: Effect.Effect<A, E, R>) => Effect.Effect<A, E, R>
    /**
     * Refuses new work from now on, and waits until running work has ended and its answers are sent. It is cancelled early
     * enough for its agents to be ended within the grace period.
     */
    readonly begin: (grace: Duration.Input, options?: BeginOptions) => Effect.Effect<void>
  }
>()("effect-clawdforge/server/Shutdown") {}

export interface BeginOptions {
  /** Waits until all answers are sent. */
  readonly allSent?: Effect.Effect<void> | undefined
  /** Runs at the end of the grace period: work that still waits for something has to give up. */
  readonly timeOver?: Effect.Effect<void> | undefined
}

/** An agent that ignores its cancel is killed within this time. */
const cancelLimit = Duration.seconds(4)

/** How long answers may take after that. */
const answerLimit = "1 second"

export const make = Effect.gen(function* () {
  const idle = yield* Latch.make(true)
  const over = yield* Latch.make()
  let underWay = false
  let working = 0

  return Shutdown.of({
    isUnderWay: Effect.sync(() => underWay),
    graceIsOver: over.await,
    refusal: Effect.andThen(over.await, Effect.fail(new NotReady({ detail: sentences.shuttingDown }))),
    track: (effect) =>
      Effect.acquireUseRelease(
        Effect.suspend(() => {
          working++
          return idle.close
        }),
        () => effect,
        () => Effect.suspend(() => (--working === 0 ? idle.open : Effect.void))
      ),
    begin: Effect.fn("Shutdown.begin")(function* (grace: Duration.Input, options: BeginOptions = {}) {
      const { allSent = Effect.void, timeOver = Effect.void } = options
      underWay = true
      const ended = Effect.andThen(idle.await, allSent)
      const whole = Duration.fromInputUnsafe(grace)
      const undisturbed = Duration.max(Duration.subtract(whole, cancelLimit), Duration.divideUnsafe(whole, 2))
      yield* Effect.timeoutOption(ended, undisturbed)
      yield* over.open
      yield* Effect.timeoutOption(ended, cancelLimit)
      yield* timeOver
      yield* Effect.timeoutOption(ended, answerLimit)
    })
  })
})

export const layer = Layer.effect(Shutdown, make)
