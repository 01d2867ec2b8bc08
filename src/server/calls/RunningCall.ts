/**
 * A call on its way to its answer. It is started once, and rendered as JSON or as an event stream for each of its readers.
 */
import { Deferred, Effect, type Exit, type Scope } from "effect"
import * as CallAnswer from "./CallAnswer.ts"
import type * as CallFeed from "./CallFeed.ts"

export interface RunningCall {
  /** Whether it has had an event, as far as is known. */
  readonly hasEvents: Effect.Effect<boolean>
  /** A reader of its frames after the one of this number, until the scope closes. */
  readonly read: (after: number) => Effect.Effect<CallFeed.FrameReader, never, Scope.Scope>
  /** Waits for its answer, which is there once the frames have ended. */
  readonly answer: Effect.Effect<CallAnswer.CallAnswer>
}

/** What a call does: it offers its events to the feed. */
export type Work = (feed: CallFeed.CallFeed) => Effect.Effect<CallAnswer.CallAnswer>

/** A running call, and what ends it. */
export interface Started extends RunningCall {
  readonly feed: CallFeed.CallFeed
  /** Gives every reader the answer, and ends the feed. */
  readonly end: (exit: Exit.Exit<CallAnswer.CallAnswer>) => Effect.Effect<void>
}

export const make = (feed: CallFeed.CallFeed): Started => {
  const answer = Deferred.makeUnsafe<CallAnswer.CallAnswer>()
  return {
    feed,
    hasEvents: Effect.map(feed.count, (count) => count > 0),
    read: feed.read,
    answer: Deferred.await(answer),
    end: (exit) => Effect.andThen(Deferred.done(answer, exit), feed.end)
  }
}

/** A defect is answered too, since the call may have been streaming by then; the log has the details. */
export const withDefects = (call: Effect.Effect<CallAnswer.CallAnswer>): Effect.Effect<CallAnswer.CallAnswer> =>
  Effect.catchDefect(call, (defect) => Effect.as(Effect.logError("a call failed", defect), CallAnswer.serverError))

/** Starts a call that is cancelled when the scope closes. */
export const start = Effect.fnUntraced(function* (feed: CallFeed.CallFeed, work: Work) {
  const call = make(feed)
  yield* withDefects(work(call.feed)).pipe(Effect.onExit(call.end), Effect.forkScoped({ startImmediately: true }))
  const running: RunningCall = call
  return running
})
