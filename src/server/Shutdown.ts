/**
 * The shutdown of a server: it refuses new work, lets running work end within a grace period, and then cancels the rest,
 * which still gets an answer.
 */
import { Context, type Duration, Effect, Latch, Layer } from "effect"
import { NotReady } from "../api/Errors.ts"
import { sentences } from "../wire/Failures.ts"

export class Shutdown extends Context.Service<
  Shutdown,
  {
    readonly isUnderWay: Effect.Effect<boolean>
    /** Waits for the end of the grace period. Work that an agent has is cancelled then, so that it still has an answer. */
    readonly graceIsOver: Effect.Effect<void>
    /** Fails at the end of the grace period, for work that no agent has yet: it is safe to send it to another server. */
    readonly refusal: Effect.Effect<never, NotReady>
    /** Counts work that the shutdown waits for. */
    readonly track: <A, E, R>(effect: Effect.Effect<A, E, R>) => Effect.Effect<A, E, R>
    /**
     * Refuses new work from now on, and waits until running work has ended and its answers are sent. The wait is bounded
     * by the grace period and the time that a cancel may take.
     */
    readonly begin: (grace: Duration.Input, allSent?: Effect.Effect<void>) => Effect.Effect<void>
  }
>()("effect-clawdforge/server/Shutdown") {}

/** An agent that ignores its cancel is killed within four seconds. */
const cancelLimit = "8 seconds"

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
    begin: Effect.fn("Shutdown.begin")(function* (grace: Duration.Input, allSent: Effect.Effect<void> = Effect.void) {
      underWay = true
      const ended = Effect.andThen(idle.await, allSent)
      yield* Effect.timeoutOption(ended, grace)
      yield* over.open
      yield* Effect.timeoutOption(ended, cancelLimit)
    })
  })
})

export const layer = Layer.effect(Shutdown, make)
