/**
 * One open session on this machine: its turns, one at a time and in order.
 */
import { Cause, Data, Deferred, Duration, Effect, Exit, flow, Option, type Scope, Semaphore, Stream } from "effect"
import type { AgentFailed, AgentOptionRefused, TurnEnd } from "../../agent/Agent.ts"
import {
  type FileNotFound,
  Invalid,
  type NotReady,
  type PoolFull,
  RunFailed,
  SessionIsClosed
} from "../../api/Errors.ts"
import type { TurnEvent } from "../../wire/TurnEvent.ts"
import type { AgentPool } from "../agents/AgentPool.ts"
import type { Agents } from "../agents/Agents.ts"
import type { DataFolder } from "../storage/DataFolder.ts"
import { Ledger } from "../storage/Ledger.ts"
import * as RunFailure from "../agents/RunFailure.ts"
import type { SessionState, SessionTurn, TurnDone } from "./SessionEngine.ts"
import * as SessionProcess from "./SessionProcess.ts"
import { Uploads } from "../files/Uploads.ts"
import { Shutdown } from "../Shutdown.ts"
import * as Spans from "../Spans.ts"
import * as Stopwatch from "../Stopwatch.ts"

/** The agent has no way back to the session, which is of no more use. */
export class AgentLost extends Data.TaggedError("AgentLost")<{ readonly failure: RunFailed }> {}

export interface LocalSession {
  /** Starts the agent where it is not running, and gives its own id of the session. */
  readonly wake: Effect.Effect<string, RunFailed | AgentOptionRefused | PoolFull>
  /** See `SessionEngine.turn`; one that cannot wake the agent fails before it counts, and the next one tries again. */
  readonly turn: (
    turn: SessionTurn,
    cancel: Effect.Effect<void>
  ) => Stream.Stream<
    TurnEvent | TurnDone,
    FileNotFound | Invalid | NotReady | RunFailed | SessionIsClosed | PoolFull | AgentLost
  >
  /** See `SessionEngine.cancel`. */
  readonly cancel: Effect.Effect<boolean>
  readonly state: Effect.Effect<SessionState>
  /** Ends the turn in flight and those that wait; they fail with `SessionIsClosed`. */
  readonly stop: Effect.Effect<void>
}

export interface Options extends SessionProcess.Options {
  readonly appId: number
}

/** The turn that holds the session's only place. */
interface Flight {
  /** Done when somebody wants it to end. */
  readonly asked: Deferred.Deferred<void>
  /** Done when it is over: whether it was cancelled. */
  readonly over: Deferred.Deferred<boolean>
  /** Whether it was handed to the agent. */
  isWithAgent: boolean
  stopReason?: string | undefined
}

/** A cancel waits no longer than this for a slow reader of the turn: it goes on by itself. */
const cancelWait = "5 seconds"

const dropped = Invalid.key("the turn of this key was cancelled before its agent got it")

export const make = Effect.fnUntraced(function* (
  options: Options
): Effect.fn.Return<LocalSession, never, AgentPool | Agents | DataFolder | Ledger | Scope.Scope | Shutdown | Uploads> {
  const ledger = yield* Ledger
  const shutdown = yield* Shutdown
  const uploads = yield* Uploads
  const process = yield* SessionProcess.make(options)
  const useProcess = Spans.acquireProcess(options.definition.name)(process.use)
  const places = yield* Semaphore.make(1)
  const stopped = yield* Deferred.make<never, SessionIsClosed>()
  let flight: Flight | undefined

  const wake = Effect.gen(function* () {
    const failed = RunFailure.from(yield* Stopwatch.start)
    const agent = yield* Effect.catchTag(useProcess, "AgentFailed", failed)
    return agent.id
  }).pipe(Effect.scoped)

  /** Takes the place of the session. */
  const takeOff = Effect.gen(function* () {
    yield* places.takeScoped(1)
    const taking: Flight = {
      asked: yield* Deferred.make<void>(),
      over: yield* Deferred.make<boolean>(),
      isWithAgent: false
    }
    return yield* Effect.acquireRelease(
      Effect.sync(() => {
        flight = taking
        return taking
      }),
      () => {
        flight = undefined
        return Deferred.succeed(taking.over, taking.stopReason === "cancelled")
      }
    )
  })

  const cancel = Effect.gen(function* () {
    if (flight === undefined) return false
    const { asked, over } = flight
    yield* Deferred.succeed(asked, undefined)
    return yield* Effect.timeoutOrElse(Deferred.await(over), {
      duration: cancelWait,
      orElse: () => Effect.succeed(true)
    })
  })

  const state = Effect.gen(function* () {
    if (flight !== undefined) return flight.isWithAgent ? "running" : "waiting"
    return (yield* process.isAwake) ? "open" : "asleep"
  })

  /**
   * Counts a turn, and gives what is to be called once at its end. A turn that is interrupted is at its end when the
   * scope closes: by then the agent has ended it.
   */
  const begin = Effect.fnUntraced(function* (flight: Flight) {
    const elapsed = yield* Stopwatch.start
    const turnIndex = yield* ledger.beginTurn(options.sessionId)
    let ended = false
    const end = Effect.fnUntraced(function* (stopReason: string) {
      const duration = yield* elapsed
      ended = true
      flight.stopReason = stopReason
      yield* ledger.endTurn({ ...options, turnIndex, stopReason, durationMillis: Duration.toMillis(duration) })
      const done: TurnDone = { _tag: "TurnDone", turnIndex, stopReason, duration }
      return done
    }, Effect.uninterruptible)
    yield* Effect.addFinalizer(() => Effect.suspend(() => (ended ? Effect.void : end("cancelled"))))
    return end
  }, Effect.uninterruptible)

  const run = Effect.fnUntraced(function* (turn: SessionTurn, cancel: Effect.Effect<void>) {
    const drop = Effect.andThen(cancel, Effect.fail(dropped))
    const flight = yield* Effect.raceFirst(drop, takeOff)
    const failed = RunFailure.from(yield* Stopwatch.start)
    const lost = flow(
      failed,
      Effect.mapError((failure) => new AgentLost({ failure }))
    )
    const awake = useProcess.pipe(
      Effect.catchTags({
        AgentOptionRefused: ({ error }) => lost({ error, stderr: "", stopReason: "error" }),
        AgentFailed: (failure) => (failure.isSessionLost === true ? lost(failure) : failed(failure))
      })
    )
    const asked = Effect.raceFirst(Deferred.await(flight.asked), cancel)
    // The refusal comes first: what waited for its place until the end of the grace does not wake the agent.
    const ready = yield* Effect.raceAllFirst([
      shutdown.refusal,
      Effect.as(asked, Option.none()),
      Effect.asSome(Effect.all([awake, uploads.stage(turn.files, options)]))
    ])
    const end = yield* begin(flight)
    if (Option.isNone(ready)) return Stream.fromEffect(end("cancelled"))

    const onEvent = Effect.fnUntraced(function* (event: TurnEvent | TurnEnd): Effect.fn.Return<TurnEvent | TurnDone> {
      if (event._tag !== "TurnEnd") return event
      const done = yield* end(event.stopReason)
      return { ...done, usage: event.usage }
    })
    const onFailure = Effect.fnUntraced(function* ({ error, stderr, stopReason }: AgentFailed) {
      const { duration } = yield* end(stopReason)
      return yield* new RunFailed({ error, stderr, stopReason, duration })
    })
    const [agent, files] = ready.value
    flight.isWithAgent = true
    return agent.turn({ ...turn, files }, Effect.raceFirst(asked, shutdown.graceIsOver)).pipe(
      Spans.prompt(options.definition.name),
      Stream.mapEffect((event) => onEvent(event)),
      Stream.catch((failure) => Stream.fromEffect(onFailure(failure)))
    )
  })

  /** Stopping a session also ends its process, and a turn may notice that before it notices the stop. */
  const isStopped = <E>(cause: Cause.Cause<E>) => Cause.hasInterruptsOnly(cause) && Deferred.isDoneUnsafe(stopped)

  return {
    wake,
    turn: (turn, cancel) =>
      Stream.unwrap(run(turn, cancel)).pipe(
        Stream.catchCauseIf(isStopped, () => Stream.fail(new SessionIsClosed())),
        Stream.interruptWhen(Deferred.await(stopped))
      ),
    cancel,
    state,
    stop: Deferred.done(stopped, Exit.fail(new SessionIsClosed()))
  }
})
