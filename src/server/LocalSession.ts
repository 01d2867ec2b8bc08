/**
 * One open session and its agent process on this machine.
 *
 * The process and the session are two things: where a process has gone, the next turn starts another one, which loads the
 * agent's own session.
 */
import {
  Clock,
  Data,
  Deferred,
  Duration,
  Effect,
  Exit,
  type Fiber,
  flow,
  RcRef,
  type Scope,
  Semaphore,
  Stream
} from "effect"
import type { AgentDefinition, AgentFailed, AgentOptionRefused, AgentSession, TurnEnd } from "../agent/Agent.ts"
import { type FileNotFound, RunFailed, SessionIsClosed } from "../api/Api.ts"
import type { SessionId } from "../api/schema/Ids.ts"
import type { TurnEvent } from "../api/schema/TurnEvent.ts"
import { Agents } from "./Agents.ts"
import { Ledger } from "./Ledger.ts"
import * as RunFailure from "./RunFailure.ts"
import type { SessionTurn, TurnDone } from "./SessionEngine.ts"
import { Uploads } from "./Uploads.ts"

/** The agent could not be brought back, so the session is of no more use. */
export class AgentLost extends Data.TaggedError("AgentLost")<{ readonly failure: RunFailed }> {}

export interface LocalSession {
  /** Starts the agent where it is not running, and gives its own id of the session. */
  readonly wake: Effect.Effect<string, RunFailed | AgentOptionRefused>
  /** See `SessionEngine.turn`; one that cannot bring the agent back fails before it counts. */
  readonly turn: (
    turn: SessionTurn
  ) => Stream.Stream<TurnEvent | TurnDone, FileNotFound | RunFailed | SessionIsClosed | AgentLost>
  /** Ends the turn in flight and those that wait; they fail with `SessionIsClosed`. */
  readonly stop: Effect.Effect<void>
}

export interface Options {
  readonly sessionId: SessionId
  readonly appId: number
  readonly definition: AgentDefinition
  readonly cwd: string
  readonly model: string | null
  /** The agent's own id of the session, if it had one in an earlier life of the server. */
  readonly agentSessionId?: string | undefined
}

/** An agent process, and the fiber that waits for its end. */
interface Process {
  readonly agent: AgentSession
  readonly exited: Fiber.Fiber<AgentFailed>
}

export const make = Effect.fnUntraced(function* (
  options: Options
): Effect.fn.Return<LocalSession, never, Agents | Ledger | Scope.Scope | Uploads> {
  const agents = yield* Agents
  const ledger = yield* Ledger
  const uploads = yield* Uploads
  const places = yield* Semaphore.make(1)
  const stopped = yield* Deferred.make<never, SessionIsClosed>()
  let agentSessionId = options.agentSessionId

  const processes = yield* RcRef.make({
    acquire: Effect.gen(function* () {
      const agent = yield* agents.open(options.definition, {
        cwd: options.cwd,
        load: agentSessionId,
        model: options.model ?? undefined
      })
      agentSessionId = agent.id
      const exited = yield* Effect.forkScoped(agent.exited)
      return { agent, exited } satisfies Process
    }),
    idleTimeToLive: Duration.infinity
  })

  /** The agent of the session, held by the scope: the running one, or a new one where that has ended. */
  const awake = Effect.gen(function* () {
    const running = yield* RcRef.get(processes)
    if (running.exited.pollUnsafe() === undefined) return running.agent
    yield* RcRef.invalidate(processes)
    const started = yield* RcRef.get(processes)
    return started.agent
  })

  const wake = Effect.gen(function* () {
    const start = yield* Clock.currentTimeMillis
    const agent = yield* Effect.catchTag(awake, "AgentFailed", RunFailure.from(start))
    return agent.id
  }).pipe(Effect.scoped)

  /**
   * Counts a turn, and gives what is to be called once at its end. A turn that is interrupted is at its end when the
   * scope closes: by then the agent has ended it.
   */
  const begin = Effect.gen(function* () {
    const start = yield* Clock.currentTimeMillis
    const turnIndex = yield* ledger.beginTurn(options.sessionId)
    let ended = false
    const end = Effect.fnUntraced(function* (stopReason: string) {
      const duration = yield* RunFailure.elapsedSince(start)
      ended = true
      yield* ledger.endTurn({ ...options, turnIndex, stopReason, durationMillis: Duration.toMillis(duration) })
      return { turnIndex, stopReason, duration }
    }, Effect.uninterruptible)
    yield* Effect.addFinalizer(() => Effect.suspend(() => (ended ? Effect.void : end("cancelled"))))
    return end
  }).pipe(Effect.uninterruptible)

  const run = Effect.fnUntraced(function* (turn: SessionTurn) {
    yield* places.takeScoped(1)
    const lost = flow(
      RunFailure.from(yield* Clock.currentTimeMillis),
      Effect.mapError((failure) => new AgentLost({ failure }))
    )
    const agent = yield* awake.pipe(
      Effect.catchTags({
        AgentOptionRefused: ({ error }) => lost({ error, stderr: "", stopReason: "error" }),
        AgentFailed: lost
      })
    )
    const files = yield* uploads.stage(turn.files, options)
    const end = yield* begin

    const onEvent = Effect.fnUntraced(function* (event: TurnEvent | TurnEnd): Effect.fn.Return<TurnEvent | TurnDone> {
      if (event._tag !== "TurnEnd") return event
      const ended = yield* end(event.stopReason)
      return { _tag: "TurnDone", ...ended, usage: event.usage }
    })
    const onFailure = Effect.fnUntraced(function* ({ error, stderr, stopReason }: AgentFailed) {
      const { duration } = yield* end(stopReason)
      return yield* new RunFailed({ error, stderr, stopReason, duration })
    })
    return agent.turn({ ...turn, files }).pipe(
      Stream.mapEffect((event) => onEvent(event)),
      Stream.catch((failure) => Stream.fromEffect(onFailure(failure)))
    )
  })

  return {
    wake,
    turn: (turn) => Stream.unwrap(run(turn)).pipe(Stream.interruptWhen(Deferred.await(stopped))),
    stop: Deferred.done(stopped, Exit.fail(new SessionIsClosed()))
  }
})
