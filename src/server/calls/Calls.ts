/**
 * Starts the calls that make an agent work: turns, runs, and the creation of sessions.
 *
 * A call with a key is executed once for all requests that repeat it, and outlives its connection (`KeyedCalls`). A call
 * without a key is cancelled as soon as its request ends.
 */
import { Context, type Duration, Effect, Layer, type Schema, type Scope } from "effect"
import type { Invalid, StorageUnavailable } from "../../api/Errors.ts"
import type { SessionId } from "../../wire/Ids.ts"
import { Shutdown } from "../Shutdown.ts"
import { TurnBudget } from "../TurnBudget.ts"
import * as CallFeed from "./CallFeed.ts"
import type { CallId } from "./KeptAnswers.ts"
import * as KeyedCalls from "./KeyedCalls.ts"
import * as RunningCall from "./RunningCall.ts"

/** A request for a call. */
export interface Call {
  readonly appId: number
  readonly path: string
  readonly key: string | undefined
  /** The whole body as it was sent, fields that the server does not know included: a repeat has the same one. */
  readonly body: Schema.Json
  /** The session that the call is about. */
  readonly sessionId?: SessionId | undefined
  /** The number of the last frame that its reader has had, of a call with a key; 0 if not given. */
  readonly after?: number | undefined
  /** Whether its request reads its events, of a call without a key; any request can join one with a key. */
  readonly asEvents?: boolean | undefined
  /** How long a call with a key goes on without a reader; as long as the server has it if not given. */
  readonly linger?: Duration.Duration | undefined
}

export class Calls extends Context.Service<
  Calls,
  {
    /**
     * Starts a call, or joins the one with the same key. The scope is the request: when it closes, a call without a key
     * is cancelled, and a call with one has one reader less.
     */
    readonly start: (
      call: Call,
      work: RunningCall.Work
    ) => Effect.Effect<RunningCall.RunningCall, Invalid | StorageUnavailable, Scope.Scope>
    /** Whether a call with a key is running, from before it is recorded until its answer is. */
    readonly isRunning: (id: CallId) => Effect.Effect<boolean>
  }
>()("effect-clawdforge/server/calls/Calls") {}

export type Options = KeyedCalls.Options

export const make = Effect.fnUntraced(function* (options: Options) {
  const shutdown = yield* Shutdown
  const budget = yield* TurnBudget
  const keyed = yield* KeyedCalls.make(options)
  return Calls.of({
    start: Effect.fnUntraced(function* ({ after = 0, asEvents = false, key, ...call }, work) {
      const tracked: RunningCall.Work = (feed) => shutdown.track(work(feed))
      if (key !== undefined) return yield* keyed.join({ ...call, after, key }, tracked)
      const feed = asEvents ? CallFeed.make(budget.shareOf(call.appId)) : CallFeed.unread
      return yield* RunningCall.start(feed, tracked)
    }),
    isRunning: keyed.isRunning
  })
})

export const layer = (options: Options) => Layer.effect(Calls, make(options))
