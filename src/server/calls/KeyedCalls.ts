/**
 * Calls with an idempotency key: each is executed once, and requests that repeat it join it or get its kept answer.
 *
 * Such a call outlives its connection. It is cancelled when no request with its key has been open for a while.
 */
import { ByteSize, type Duration, Effect, Exit, Fiber, FiberSet, Option, Result, Schedule, type Schema } from "effect"
import * as Digest from "effect/crypto/Digest"
import type { SessionId } from "../../wire/Ids.ts"
import * as StorageFailure from "../storage/StorageFailure.ts"
import { TurnBudget } from "../TurnBudget.ts"
import * as AnswerReplay from "./AnswerReplay.ts"
import * as CallAnswer from "./CallAnswer.ts"
import * as CallFeed from "./CallFeed.ts"
import * as CanonicalJson from "./CanonicalJson.ts"
import * as FailureLog from "./FailureLog.ts"
import { type CallId, cutShort, failed, KeptAnswers, type KeptCall } from "./KeptAnswers.ts"
import * as KeptFrames from "./KeptFrames.ts"
import * as RunningCall from "./RunningCall.ts"

export interface Options {
  /** How long a call with a key goes on while no request for it is open, unless it says so itself; 30 seconds if not given. */
  readonly keyedCallLinger?: Duration.Input | undefined
  /** The most that is kept of the frames of a call with a key, for readers that come back after its end; 4 MiB if not given. */
  readonly maxKeptFrames?: ByteSize.ByteSize | undefined
}

const defaultKeyedCallLinger = "30 seconds"
const defaultMaxKeptFrames = ByteSize.mebibytes(4)

/** The statuses of calls that may have acted. */
const acted: ReadonlySet<number> = new Set([200, 410, 502])

/** Only the answers of calls that may have acted are kept. */
const isKept = ({ didNothing = false, status }: CallAnswer.CallAnswer) => acted.has(status) && !didNothing

const abandoned = CallAnswer.failed("the call was cancelled: no client was waiting for its answer", "cancelled")

/** A request for a call with a key. */
export interface KeyedCall extends CallId {
  readonly body: Schema.Json
  /** The number of the last frame that its reader has had. */
  readonly after: number
  /** How long the call goes on while no request for it is open; that of the server if not given. */
  readonly linger?: Duration.Duration | undefined
  readonly sessionId?: SessionId | undefined
}

/** A request with the hash of its body. */
interface Hashed extends Omit<KeyedCall, "body"> {
  readonly requestHash: string
}

/** A call that is running. */
interface Entry extends RunningCall.Started {
  readonly requestHash: string
  readonly linger: Duration.Input
  /** What was kept of the call, where it had been executed before. */
  before?: KeptCall | undefined
  fiber?: Fiber.Fiber<unknown> | undefined
  /** How many requests for it are open. */
  requests: number
  /** Which linger is the current one: a new one begins whenever a request ends. */
  lingerGeneration: number
  isAbandoned: boolean
}

const newEntry = (options: Pick<Entry, "linger" | "requestHash">, share: TurnBudget): Entry => ({
  ...RunningCall.make(CallFeed.make(share)),
  ...options,
  requests: 0,
  lingerGeneration: 0,
  isAbandoned: false
})

const nameOf = ({ appId, key, path }: CallId): string => JSON.stringify([appId, path, key])

export const make = Effect.fnUntraced(function* (options: Options) {
  const kept = yield* KeptAnswers
  const digest = yield* Digest.Digest
  const budget = yield* TurnBudget
  const defaultLinger = options.keyedCallLinger ?? defaultKeyedCallLinger
  const maxKeptFrames = Number(options.maxKeptFrames ?? defaultMaxKeptFrames)
  const fibers = yield* FiberSet.make()
  const entries = new Map<string, Entry>()
  /** The calls that did nothing, and whose records could not be deleted. */
  const undeleted = new Set<string>()

  const hashOf = (body: Schema.Json) =>
    Effect.orDie(digest.digestHex(Digest.sha256, new TextEncoder().encode(CanonicalJson.from(body))))

  /** Deletes the record of a call that did nothing. If that fails, the next call with its key deletes it. */
  const forget = (id: CallId) =>
    Effect.catch(kept.forget(id), (error) => {
      undeleted.add(nameOf(id))
      return StorageFailure.log(error)
    })

  const begin = Effect.fnUntraced(function* (call: Hashed) {
    const name = nameOf(call)
    if (undeleted.has(name)) {
      yield* kept.forget(call)
      undeleted.delete(name)
    }
    return yield* kept.begin(call)
  })

  /**
   * Without a record of its answer, the outcome of a call is unknown. That is recorded as soon as it can be, without the
   * frames, which would be held until then.
   */
  const endUnrecorded = Effect.fnUntraced(function* (id: CallId, count: number) {
    const ended = kept.end({ ...id, answer: failed, frames: { count, pieces: [] } })
    yield* FiberSet.run(fibers, Effect.retry(ended, Schedule.spaced("1 second")))
    return failed
  })

  /** Records how a call ended. One that did nothing is forgotten, so that it may be tried again. */
  const settle = Effect.fnUntraced(function* (id: CallId, entry: Entry, exit: Exit.Exit<CallAnswer.CallAnswer>) {
    /** Returns the answer for the requests. */
    const end = Effect.fnUntraced(function* (answer: CallAnswer.CallAnswer) {
      const frames = yield* KeptFrames.fromFeed(entry.feed, maxKeptFrames)
      if (answer.isUnrecorded === true) return yield* endUnrecorded(id, frames.count)
      const ended = yield* Effect.result(kept.end({ ...id, answer, frames }))
      if (Result.isSuccess(ended)) return answer
      yield* StorageFailure.log(ended.failure)
      return yield* endUnrecorded(id, frames.count)
    })
    if (Exit.isSuccess(exit)) return yield* isKept(exit.value) ? end(exit.value) : Effect.as(forget(id), exit.value)
    const wasInterrupted = Exit.hasInterrupts(exit)
    if (!wasInterrupted) yield* Effect.logError("a call failed", exit.cause)
    return yield* end(wasInterrupted ? (entry.isAbandoned ? abandoned : cutShort) : failed)
  })

  /** Executes a call, which is recorded before it can act. */
  const execute = Effect.fnUntraced(function* (call: Hashed, entry: Entry, work: RunningCall.Work) {
    const begun = yield* Effect.result(begin(call))
    if (Result.isFailure(begun)) return yield* CallAnswer.fromFailure(begun.failure)
    if (Option.isSome(begun.success)) {
      const before = begun.success.value
      const checked = yield* Effect.result(AnswerReplay.checkBody(before, call.requestHash))
      if (Result.isFailure(checked)) return yield* CallAnswer.fromFailure(checked.failure)
      entry.before = before
      yield* FailureLog.logKept(before.answer)
      return before.answer
    }
    const done = Effect.interruptible(work(entry.feed))
    return yield* settle(call, entry, yield* Effect.exit(done))
  })

  const attach = Effect.fnUntraced(function* (call: Hashed, work: RunningCall.Work) {
    const name = nameOf(call)
    const running = entries.get(name)
    if (running !== undefined) {
      yield* AnswerReplay.checkBody(running, call.requestHash)
      running.requests++
      return running
    }
    // Every request for the call has the same body, and so the same linger.
    const { appId, linger = defaultLinger, requestHash } = call
    const entry = newEntry({ linger, requestHash }, budget.shareOf(appId))
    entry.requests++
    entries.set(name, entry)
    entry.fiber = yield* FiberSet.run(
      fibers,
      RunningCall.withDefects(execute(call, entry, work)).pipe(
        Effect.onExit((exit) => {
          entries.delete(name)
          return entry.end(exit)
        }),
        // A request that joins a call while it is being cancelled gets the answer that was recorded.
        Effect.uninterruptible
      )
    )
    return entry
  })

  /** Cancels a call for which no request was opened within the linger. */
  const abandon = Effect.fnUntraced(function* (entry: Entry, lingerGeneration: number) {
    if (Option.isSome(yield* Effect.timeoutOption(entry.answer, entry.linger))) return
    if (entry.requests > 0 || entry.lingerGeneration !== lingerGeneration || entry.fiber === undefined) return
    entry.isAbandoned = true
    yield* Fiber.interrupt(entry.fiber)
  })

  const detach = (entry: Entry) =>
    Effect.suspend(() => {
      entry.requests--
      entry.lingerGeneration++
      return FiberSet.run(fibers, abandon(entry, entry.lingerGeneration))
    })

  /** A call as a request sees it: where it had been executed before, its frames are those that were kept then. */
  const viewOf = (id: CallId, entry: Entry): RunningCall.RunningCall => ({
    answer: entry.answer,
    hasEvents: Effect.suspend(() =>
      entry.before === undefined ? entry.hasEvents : Effect.succeed(entry.before.frames !== 0)
    ),
    read: (after) =>
      Effect.map(entry.read(after), (live) => {
        let replay: CallFeed.FrameReader | undefined
        return {
          ready: live.ready,
          take: Effect.suspend(() => {
            if (entry.before === undefined) return live.take
            replay ??= AnswerReplay.readerOf(kept, id, entry.before, after)
            return replay.take
          })
        }
      })
  })

  return {
    /** Starts a call, joins it while it runs, or replays its kept answer. The request is open until the scope closes. */
    join: Effect.fnUntraced(function* ({ body, ...call }: KeyedCall, work: RunningCall.Work) {
      const hashed: Hashed = { ...call, requestHash: yield* hashOf(body) }
      const name = nameOf(call)
      const isOpen = entries.has(name) || undeleted.has(name)
      const replayed = isOpen ? Option.none() : yield* AnswerReplay.find(kept, hashed)
      if (Option.isSome(replayed)) return replayed.value
      return viewOf(call, yield* Effect.acquireRelease(attach(hashed, work), detach))
    }),
    /** Whether a call is running, from before it is recorded until its answer is. */
    isRunning: (id: CallId) => Effect.sync(() => entries.has(nameOf(id)))
  }
})
