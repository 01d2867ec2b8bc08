/**
 * An open session on this machine: queues its turns, and runs them one at a time.
 */
import { Cause, Data, Deferred, Duration, Effect, Exit, flow, Option, Scope, Semaphore, Stream } from "effect"
import type { AgentFailed, AgentOptionRefused, TurnEnd } from "../../agent/Agent.ts"
import {
  type FileNotFound,
  Invalid,
  type NotReady,
  type PoolFull,
  type RunFailed,
  SessionIsClosed,
  type StorageUnavailable
} from "../../api/Errors.ts"
import type { TurnEvent } from "../../wire/TurnEvent.ts"
import type { Usage } from "../../wire/Usage.ts"
import type { AgentPool } from "../agents/AgentPool.ts"
import type { Agents } from "../agents/Agents.ts"
import type { WorkingDirectories } from "../storage/WorkingDirectories.ts"
import { Ledger } from "../storage/Ledger.ts"
import * as StorageFailure from "../storage/StorageFailure.ts"
import * as AgentFailure from "../agents/AgentFailure.ts"
import type { SessionState, SessionTurn, TurnDone } from "./SessionEngine.ts"
import * as SessionProcess from "./SessionProcess.ts"
import { Uploads } from "../files/Uploads.ts"
import { Shutdown } from "../Shutdown.ts"
import * as Spans from "../Spans.ts"
import * as Stopwatch from "../Stopwatch.ts"

/** The agent cannot restore the session, which has to be closed. */
export class AgentLost extends Data.TaggedError("AgentLost")<{ readonly failure: RunFailed }> {}

export interface LocalSession {
  /** Starts the agent unless it is running, and returns its own id of the session. */
  readonly wake: Effect.Effect<string, RunFailed | AgentOptionRefused | PoolFull>
  /** See `SessionEngine.turn`; one that cannot start the agent fails before it counts, and the next one tries again. */
  readonly turn: (
    turn: SessionTurn
  ) => Stream.Stream<
    TurnEvent | TurnDone,
    FileNotFound | Invalid | NotReady | RunFailed | SessionIsClosed | PoolFull | StorageUnavailable | AgentLost
  >
  /** See `SessionEngine.cancel`. */
  readonly cancel: (turnId?: string) => Effect.Effect<boolean>
  readonly state: Effect.Effect<SessionState>
  /** Ends the active turn and those that wait; they fail with `SessionIsClosed`. */
  readonly stop: Effect.Effect<void>
}

export interface Options extends SessionProcess.Options {
  readonly appId: number
  /** Where the files of its turns are put. */
  readonly filesFolder: string
}

/** A turn that waits or runs. */
interface ActiveTurn {
  readonly id: string
  /** Done once a cancel is requested. */
  readonly cancelRequested: Deferred.Deferred<void>
  /** Done when the turn is over, with whether it was cancelled. */
  readonly over: Deferred.Deferred<boolean>
  /** Whether it was handed to the agent. */
  isWithAgent: boolean
  /** Whether it was cancelled before its turn came. */
  isDropped: boolean
  stopReason?: string | undefined
}

/** A cancel of a turn that has not been enqueued yet. */
interface EarlyCancel {
  readonly id: string
  readonly arrival: Deferred.Deferred<ActiveTurn>
}

/** How long a cancel waits for its turn to come, and for its end, which a slow reader can hold up. */
const maxCancelWait = "5 seconds"

const dropped = Invalid.key("the turn of this key was cancelled before its agent got it")

export const make = Effect.fnUntraced(function* (
  options: Options
): Effect.fn.Return<
  LocalSession,
  never,
  AgentPool | Agents | WorkingDirectories | Ledger | Scope.Scope | Shutdown | Uploads
> {
  const ledger = yield* Ledger
  const shutdown = yield* Shutdown
  const uploads = yield* Uploads
  const process = yield* SessionProcess.make(options)
  const useProcess = Spans.acquireProcess(options.agent)(process.use)
  const turnPermit = yield* Semaphore.make(1)
  const stopped = yield* Deferred.make<never, SessionIsClosed>()
  const turns = new Set<ActiveTurn>()
  /** Each waits for its own time, also where several are for the same turn. */
  const earlyCancels = new Set<EarlyCancel>()
  /** The turn that holds the permit. */
  let active: ActiveTurn | undefined

  const wake = Effect.gen(function* () {
    const failed = AgentFailure.toRunFailedBeforeWork(yield* Stopwatch.start, options.agent)
    const agent = yield* Effect.catchTag(useProcess, "AgentFailed", failed)
    return agent.id
  }).pipe(Effect.scoped)

  /** A turn that a cancel finds until the scope closes. */
  const enqueue = (id: string) =>
    Effect.acquireRelease(
      Effect.sync(() => {
        const turn: ActiveTurn = {
          id,
          cancelRequested: Deferred.makeUnsafe(),
          over: Deferred.makeUnsafe(),
          isWithAgent: false,
          isDropped: false
        }
        turns.add(turn)
        for (const cancel of earlyCancels) {
          if (cancel.id !== id) continue
          Deferred.doneUnsafe(turn.cancelRequested, Effect.void)
          Deferred.doneUnsafe(cancel.arrival, Effect.succeed(turn))
        }
        return turn
      }),
      (turn) => {
        turns.delete(turn)
        return Deferred.succeed(turn.over, turn.isDropped || turn.stopReason === "cancelled")
      }
    )

  /** Waits for the turns before this one. */
  const acquireTurn = Effect.fnUntraced(function* (turn: ActiveTurn) {
    yield* turnPermit.takeScoped(1)
    yield* Effect.acquireRelease(
      Effect.sync(() => {
        active = turn
      }),
      () =>
        Effect.sync(() => {
          active = undefined
        })
    )
  })

  const drop = Effect.fnUntraced(function* (turn: ActiveTurn) {
    yield* Deferred.await(turn.cancelRequested)
    turn.isDropped = true
    return yield* dropped
  })

  /** The turn of an id, which may not have been enqueued yet. */
  const findTurn = Effect.fnUntraced(function* (id: string) {
    const found = [...turns].find((turn) => turn.id === id)
    if (found !== undefined) return found
    const cancel: EarlyCancel = { id, arrival: Deferred.makeUnsafe() }
    earlyCancels.add(cancel)
    const arrived = yield* Effect.timeoutOption(Deferred.await(cancel.arrival), maxCancelWait).pipe(
      Effect.ensuring(Effect.sync(() => earlyCancels.delete(cancel)))
    )
    return Option.getOrUndefined(arrived)
  })

  const cancel = Effect.fnUntraced(function* (turnId?: string) {
    const turn = turnId === undefined ? active : yield* findTurn(turnId)
    if (turn === undefined) return false
    yield* Deferred.succeed(turn.cancelRequested, undefined)
    return yield* Effect.timeoutOrElse(Deferred.await(turn.over), {
      duration: maxCancelWait,
      orElse: () => Effect.succeed(true)
    })
  })

  const state = Effect.gen(function* () {
    if (active !== undefined) return active.isWithAgent ? "running" : "waiting"
    return (yield* process.isAwake) ? "open" : "asleep"
  })

  /**
   * Counts a turn, and returns what is to be called once at its end. A turn that is interrupted is at its end when the
   * scope closes: by then the agent has ended it.
   */
  const begin = Effect.fnUntraced(function* (turn: ActiveTurn) {
    const elapsed = yield* Stopwatch.start
    const turnIndex = yield* ledger.beginTurn(options.sessionId)
    let ended = false
    const end = Effect.fnUntraced(function* (stopReason: string, usage?: Usage) {
      const duration = yield* elapsed
      ended = true
      turn.stopReason = stopReason
      // Without a record of the end, the outcome is unknown.
      yield* StorageFailure.orOutcomeUnknown(
        ledger.endTurn({ ...options, turnIndex, stopReason, usage, durationMillis: Duration.toMillis(duration) })
      )
      const done: TurnDone = { _tag: "TurnDone", turnIndex, stopReason, duration, usage }
      return done
    }, Effect.uninterruptible)
    yield* Effect.addFinalizer(() => Effect.suspend(() => (ended ? Effect.void : Effect.ignore(end("cancelled")))))
    return { end, turnIndex }
  }, Effect.uninterruptible)

  const run = Effect.fnUntraced(function* ({ files, id, ...request }: SessionTurn) {
    const turn = yield* enqueue(id)
    yield* Effect.raceFirst(drop(turn), acquireTurn(turn))
    const elapsed = yield* Stopwatch.start
    const failed = AgentFailure.toRunFailedBeforeWork(elapsed, options.agent)
    // It closes the session.
    const lost = flow(
      AgentFailure.toRunFailed(elapsed, options.agent),
      Effect.mapError((failure) => new AgentLost({ failure }))
    )
    const scope = yield* Effect.scope
    const awake = useProcess.pipe(
      Effect.catchTags({
        AgentOptionRefused: ({ error }) => failed({ error, kind: "option_refused", stderr: "", stopReason: "error" }),
        AgentFailed: (failure) => (failure.restore === "lost" ? lost(failure) : failed(failure))
      })
    )
    const prepare = Effect.gen(function* () {
      const firstUse = yield* Scope.fork(scope)
      const agent = yield* Scope.provide(awake, firstUse)
      const attachments = yield* uploads.stage(files, { cwd: options.filesFolder, sessionId: options.sessionId })
      if (!(yield* process.hasEnded)) return { agent, attachments }
      // It ended while the files were copied.
      yield* Scope.close(firstUse, Exit.void)
      return { agent: yield* awake, attachments }
    })
    const cancelRequested = Deferred.await(turn.cancelRequested)
    // The refusal comes first: a turn that waited until the end of the grace does not start the agent.
    const ready = yield* Effect.raceAllFirst([
      shutdown.refusal,
      Effect.as(cancelRequested, Option.none()),
      Effect.asSome(prepare)
    ])
    const { end, turnIndex } = yield* begin(turn)
    if (Option.isNone(ready)) return Stream.fromEffect(end("cancelled"))

    const onEvent = Effect.fnUntraced(function* (
      event: TurnEvent | TurnEnd
    ): Effect.fn.Return<TurnEvent | TurnDone, RunFailed> {
      if (event._tag !== "TurnEnd") return event
      return yield* end(event.stopReason, event.usage)
    })
    const onFailure = Effect.fnUntraced(function* (failure: AgentFailed) {
      const { duration } = yield* end(failure.stopReason)
      return yield* AgentFailure.runFailed(failure, { agent: options.agent, duration })
    })
    const { agent, attachments } = ready.value
    turn.isWithAgent = true
    return agent
      .turn(
        { ...request, index: turnIndex, files: attachments },
        Effect.raceFirst(cancelRequested, shutdown.graceIsOver)
      )
      .pipe(
        Spans.prompt(options.agent),
        Stream.mapEffect((event) => onEvent(event)),
        Stream.catchTag("AgentFailed", (failure) => Stream.fromEffect(onFailure(failure)))
      )
  })

  /** Stopping a session also ends its process, and a turn may notice that before it notices the stop. */
  const isStopped = <E>(cause: Cause.Cause<E>) => Cause.hasInterruptsOnly(cause) && Deferred.isDoneUnsafe(stopped)

  return {
    wake,
    turn: (turn) =>
      Stream.unwrap(run(turn)).pipe(
        Stream.catchCauseIf(isStopped, () => Stream.fail(new SessionIsClosed())),
        Stream.interruptWhen(Deferred.await(stopped))
      ),
    cancel,
    state,
    stop: Deferred.done(stopped, Exit.fail(new SessionIsClosed()))
  }
})
