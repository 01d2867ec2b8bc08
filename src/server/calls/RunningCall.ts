/**
 * A call on its way to its answer. It is started once, and rendered as JSON or as an event stream for each of its readers.
 */
import { Deferred, Effect, type Exit } from "effect"
import * as CallAnswer from "./CallAnswer.ts"
import * as TurnFeed from "./TurnFeed.ts"

export interface RunningCall {
  /** Its events as they happen. */
  readonly feed: TurnFeed.TurnFeed
  /** Waits for its answer, which is there once the feed has ended. */
  readonly answer: Effect.Effect<CallAnswer.CallAnswer>
}

/** What a call does: it offers its events to the feed. */
export type Work = (feed: TurnFeed.TurnFeed) => Effect.Effect<CallAnswer.CallAnswer>

/** A running call, and what ends it. */
export interface Started extends RunningCall {
  /** Gives every reader the answer, and ends the feed. */
  readonly end: (exit: Exit.Exit<CallAnswer.CallAnswer>) => Effect.Effect<void>
}

export const make = (): Started => {
  const answer = Deferred.makeUnsafe<CallAnswer.CallAnswer>()
  const feed = TurnFeed.make()
  return {
    feed,
    answer: Deferred.await(answer),
    end: (exit) => Effect.andThen(Deferred.done(answer, exit), feed.end)
  }
}

/** A defect is answered too, since the call may have been streaming by then; the log has the details. */
export const withDefects = (call: Effect.Effect<CallAnswer.CallAnswer>): Effect.Effect<CallAnswer.CallAnswer> =>
  Effect.catchDefect(call, (defect) => Effect.as(Effect.logError("a call failed", defect), CallAnswer.serverError))

/** Starts a call that is cancelled when the scope closes. */
export const start = Effect.fnUntraced(function* (work: Work) {
  const call = make()
  yield* withDefects(work(call.feed)).pipe(Effect.onExit(call.end), Effect.forkScoped({ startImmediately: true }))
  const running: RunningCall = call
  return running
})
