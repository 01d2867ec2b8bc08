/**
 * A call that has an agent act, on its way to its answer: one that somebody may follow while it runs.
 */
import { Deferred, Effect, type Scope } from "effect"
import * as TurnFeed from "./TurnFeed.ts"
import * as WireAnswer from "./WireAnswer.ts"

export interface RunningCall {
  readonly feed: TurnFeed.TurnFeed
  readonly answer: Effect.Effect<WireAnswer.WireAnswer>
}

/** What a call does; a turn tells its events as they come, and is cancelled when `cancel` ends. */
export type Work = (feed: TurnFeed.TurnFeed, cancel: Effect.Effect<void>) => Effect.Effect<WireAnswer.WireAnswer>

/** A defect is an answer too, for whoever has read the first events by then; what it was is told in the log. */
export const withDefects = (call: Effect.Effect<WireAnswer.WireAnswer>): Effect.Effect<WireAnswer.WireAnswer> =>
  Effect.catchDefect(call, (defect) => Effect.as(Effect.logError("a call failed", defect), WireAnswer.serverError))

/** Starts a call that ends with the scope. */
export const start = Effect.fnUntraced(function* (work: Work): Effect.fn.Return<RunningCall, never, Scope.Scope> {
  const feed = TurnFeed.make()
  const answer = yield* Deferred.make<WireAnswer.WireAnswer>()
  yield* withDefects(work(feed, Effect.never)).pipe(
    Effect.onExit((exit) => Effect.andThen(Deferred.done(answer, exit), feed.end)),
    Effect.forkScoped
  )
  return { feed, answer: Deferred.await(answer) }
})

/** One that was answered before. */
export const ended = (answer: WireAnswer.WireAnswer): RunningCall => ({
  feed: TurnFeed.ended,
  answer: Effect.succeed(answer)
})
