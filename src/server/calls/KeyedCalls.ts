/**
 * Calls that come with a key are done once: a repeat gets the answer of the first, and waits for it if need be.
 *
 * Such a call outlives its connection. It is given up when nobody with its key has come back for a while.
 */
import { Context, Deferred, type Duration, Effect, Exit, Fiber, FiberSet, Layer, Option, type Scope } from "effect"
import * as Digest from "effect/crypto/Digest"
import type { HttpServerRequest, HttpServerResponse } from "effect/http"
import { Invalid } from "../../api/Errors.ts"
import type { SessionId } from "../../wire/Ids.ts"
import * as CanonicalJson from "./CanonicalJson.ts"
import { type CallId, cutShort, failed, KeptAnswers, type KeptCall } from "./KeptAnswers.ts"
import * as RunningCall from "./RunningCall.ts"
import { Shutdown } from "../Shutdown.ts"
import * as TurnFeed from "./TurnFeed.ts"
import * as WireAnswer from "./WireAnswer.ts"

/** Whose call it is, and where to. */
export interface Call {
  readonly appId: number
  readonly path: string
  readonly key: string | undefined
  /** The session that the call is about. */
  readonly sessionId?: SessionId | undefined
  readonly request: HttpServerRequest.HttpServerRequest
}

export class KeyedCalls extends Context.Service<
  KeyedCalls,
  {
    /**
     * Starts a call, or joins the one that was started under its key. The scope is how long somebody waits for it; a
     * call without a key ends with the scope.
     */
    readonly follow: (
      call: Call,
      work: RunningCall.Work
    ) => Effect.Effect<RunningCall.RunningCall, Invalid, Scope.Scope>
    /** Runs the effect; of a request with a key it runs the work instead, no more than once. */
    readonly answer: <A, E>(
      call: Call,
      effect: Effect.Effect<A, E>,
      work: RunningCall.Work
    ) => Effect.Effect<A | HttpServerResponse.HttpServerResponse, E | Invalid>
    /** Cancels a call that is under way, waits for its end, and gives whether there was one. */
    readonly cancel: (id: CallId) => Effect.Effect<boolean>
  }
>()("effect-clawdforge/server/calls/KeyedCalls") {}

export interface Options {
  /** How long a call with a key goes on when nobody waits for it any more; 30 seconds if not given. */
  readonly keyedCallLinger?: Duration.Input | undefined
}

const defaultLinger = "30 seconds"

/** A cancel waits no longer than this for a slow reader of the call: it goes on by itself. */
const cancelWait = "5 seconds"

/** The answers of calls that did something. */
const acted: ReadonlySet<number> = new Set([200, 410, 502])

const abandoned = WireAnswer.failed("the call was cancelled: nobody waited for its answer any more", "cancelled")
const otherBody = Invalid.key("was used with another body")

/** A call that is under way. */
interface Entry extends RunningCall.RunningCall {
  readonly requestHash: string
  readonly settled: Deferred.Deferred<WireAnswer.WireAnswer>
  /** Done when somebody wants it to end. */
  readonly asked: Deferred.Deferred<void>
  fiber?: Fiber.Fiber<unknown> | undefined
  /** How many wait for it. */
  waiting: number
  /** How often somebody has left it: whoever comes back and leaves again starts the time anew. */
  departures: number
  isAbandoned: boolean
}

const newEntry = (requestHash: string): Entry => {
  const settled = Deferred.makeUnsafe<WireAnswer.WireAnswer>()
  return {
    requestHash,
    settled,
    asked: Deferred.makeUnsafe(),
    answer: Deferred.await(settled),
    feed: TurnFeed.make(),
    waiting: 0,
    departures: 0,
    isAbandoned: false
  }
}

const nameOf = ({ appId, key, path }: CallId): string => JSON.stringify([appId, path, key])

/** What is known of a call, for a repeat of it. */
const known = (call: KeptCall, requestHash: string): Effect.Effect<WireAnswer.WireAnswer, Invalid> =>
  call.requestHash === requestHash ? Effect.succeed(call.answer) : Effect.fail(otherBody)

export const make = Effect.fnUntraced(function* (options: Options) {
  const kept = yield* KeptAnswers
  const digest = yield* Digest.Digest
  const shutdown = yield* Shutdown
  const linger = options.keyedCallLinger ?? defaultLinger
  const fibers = yield* FiberSet.make()
  const entries = new Map<string, Entry>()

  /** The body has been read as JSON by then, so none of this can fail. */
  const hashOf = Effect.fnUntraced(function* ({ text }: HttpServerRequest.HttpServerRequest) {
    const canonical = yield* CanonicalJson.from(yield* text)
    return yield* digest.digestHex(Digest.sha256, new TextEncoder().encode(canonical))
  }, Effect.orDie)

  /** Writes down what came of a call that had begun: only one that did nothing may be done again. */
  const settle = Effect.fnUntraced(function* (id: CallId, entry: Entry, exit: Exit.Exit<WireAnswer.WireAnswer>) {
    if (Exit.isSuccess(exit)) {
      yield* acted.has(exit.value.status) ? kept.end({ ...id, answer: exit.value }) : kept.forget(id)
      return exit.value
    }
    const wasInterrupted = Exit.hasInterrupts(exit)
    if (!wasInterrupted) yield* Effect.logError("a call failed", exit.cause)
    const answer = wasInterrupted ? (entry.isAbandoned ? abandoned : cutShort) : failed
    yield* kept.end({ ...id, answer })
    return answer
  })

  /** Does a call that nobody is doing. It is written down before it has the agent act. */
  const conduct = Effect.fnUntraced(function* (
    id: CallId & { readonly sessionId?: SessionId | undefined },
    entry: Entry,
    work: RunningCall.Work
  ) {
    const before = yield* kept.begin({ ...id, requestHash: entry.requestHash })
    if (Option.isSome(before)) {
      return yield* Effect.catch(known(before.value, entry.requestHash), WireAnswer.fromFailure)
    }
    const done = Effect.interruptible(shutdown.track(work(entry.feed, Deferred.await(entry.asked))))
    return yield* settle(id, entry, yield* Effect.exit(done))
  })

  const attach = Effect.fnUntraced(function* (
    call: CallId & {
      readonly name: string
      readonly requestHash: string
      readonly sessionId: SessionId | undefined
    },
    work: RunningCall.Work
  ) {
    const { name, requestHash } = call
    const running = entries.get(name)
    if (running !== undefined && running.requestHash !== requestHash) return yield* otherBody
    const entry = running ?? newEntry(requestHash)
    entry.waiting++
    if (running !== undefined) return entry
    entries.set(name, entry)
    entry.fiber = yield* FiberSet.run(
      fibers,
      RunningCall.withDefects(conduct(call, entry, work)).pipe(
        Effect.onExit((exit) => {
          entries.delete(name)
          return Effect.andThen(Deferred.done(entry.settled, exit), entry.feed.end)
        }),
        // To the very end: whoever came back meanwhile gets what was written down, though the call was interrupted.
        Effect.uninterruptible
      )
    )
    return entry
  })

  /** Gives up a call that nobody comes back for. */
  const giveUp = Effect.fnUntraced(function* (entry: Entry, departures: number) {
    if (Option.isSome(yield* Effect.timeoutOption(entry.answer, linger))) return
    if (entry.waiting > 0 || entry.departures !== departures || entry.fiber === undefined) return
    entry.isAbandoned = true
    yield* Fiber.interrupt(entry.fiber)
  })

  const detach = (entry: Entry) =>
    Effect.suspend(() => {
      entry.waiting--
      entry.departures++
      return FiberSet.run(fibers, giveUp(entry, entry.departures))
    })

  const join = Effect.fnUntraced(function* (call: Call & { readonly key: string }, work: RunningCall.Work) {
    const { appId, key, path, request, sessionId } = call
    const id: CallId = { appId, path, key }
    const requestHash = yield* hashOf(request)
    const name = nameOf(id)
    const before = entries.has(name) ? Option.none() : yield* kept.find(id)
    if (Option.isSome(before)) return RunningCall.ended(yield* known(before.value, requestHash))
    return yield* Effect.acquireRelease(attach({ ...id, sessionId, name, requestHash }, work), detach)
  })

  return KeyedCalls.of({
    follow: Effect.fnUntraced(function* (call, work) {
      const { key } = call
      if (key !== undefined) return yield* join({ ...call, key }, work)
      return yield* RunningCall.start((feed, cancel) => shutdown.track(work(feed, cancel)))
    }),
    answer: Effect.fnUntraced(function* (call, effect, work) {
      const { key } = call
      if (key === undefined) return yield* effect
      const { answer } = yield* join({ ...call, key }, work)
      return WireAnswer.toResponse(yield* answer)
    }, Effect.scoped),
    cancel: Effect.fnUntraced(function* (id) {
      const entry = entries.get(nameOf(id))
      if (entry === undefined) return false
      yield* Deferred.succeed(entry.asked, undefined)
      yield* Effect.timeoutOption(entry.answer, cancelWait)
      return true
    })
  })
})

export const layer = (options: Options) => Layer.effect(KeyedCalls, make(options))
