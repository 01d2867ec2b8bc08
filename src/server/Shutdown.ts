/**
 * The end of a server: it takes no new work, and lets what is under way end within a grace. What has not ended then is
 * cancelled, and answers as such.
 */
import { Context, type Duration, Effect, Latch, Layer } from "effect"
import { NotReady } from "../api/Errors.ts"
import { sentences } from "../wire/Failures.ts"

export class Shutdown extends Context.Service<
  Shutdown,
  {
    readonly isUnderWay: Effect.Effect<boolean>
    /** Waits for the end of the grace. Whoever has an agent at work ends it then, in a way that still has an answer. */
    readonly graceIsOver: Effect.Effect<void>
    /** Fails at the end of the grace, for work that no agent has got yet: it can be asked for again, of another server. */
    readonly refusal: Effect.Effect<never, NotReady>
    /** Counts work that the end waits for. */
    readonly track: <A, E, R>(effect: Effect.Effect<A, E, R>) => Effect.Effect<A, E, R>
    /**
     * Refuses new work from now on, and waits until the rest has ended and its answers are sent, but no longer than the
     * grace and as long as a cancel may take.
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
