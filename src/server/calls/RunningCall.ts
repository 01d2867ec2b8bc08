/**
 * A call that has an agent act, on its way to its answer: one that somebody may follow while it runs.
 */
import { Deferred, Effect, type Scope } from "effect"
import * as TurnFeed from "../sessions/TurnFeed.ts"
import type { WireAnswer } from "../http/WireAnswer.ts"

export interface RunningCall {
  readonly feed: TurnFeed.TurnFeed
  readonly answer: Effect.Effect<WireAnswer>
}

/** What a call does; a turn tells its events as they come, and is cancelled when `cancel` ends. */
export type Work = (feed: TurnFeed.TurnFeed, cancel: Effect.Effect<void>) => Effect.Effect<WireAnswer>

/** Starts a call that ends with the scope. */
export const start = Effect.fnUntraced(function* (work: Work): Effect.fn.Return<RunningCall, never, Scope.Scope> {
  const feed = TurnFeed.make()
  const answer = yield* Deferred.make<WireAnswer>()
  yield* work(feed, Effect.never).pipe(
    Effect.onExit((exit) => Effect.andThen(Deferred.done(answer, exit), feed.end)),
    Effect.interruptible,
    Effect.forkScoped
  )
  return { feed, answer: Deferred.await(answer) }
})

/** One that was answered before. */
export const ended = (answer: WireAnswer): RunningCall => ({ feed: TurnFeed.ended, answer: Effect.succeed(answer) })
