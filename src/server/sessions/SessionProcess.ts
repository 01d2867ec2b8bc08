/**
 * The agent process of a session. It is started when it is needed, and may be evicted while it is idle; the next one
 * restores the agent's own session.
 */
import { Duration, Effect, Exit, RcRef, Scope, Semaphore } from "effect"
import { AgentFailed, type AgentOptionRefused, type AgentSession, type SystemPrompt } from "../../agent/Agent.ts"
import * as LateEvents from "../../agent/acp/LateEvents.ts"
import type { PoolFull } from "../../api/Errors.ts"
import type { SessionId } from "../../wire/Ids.ts"
import type { McpServers } from "../../wire/McpServers.ts"
import { AgentPool, type ProcessSlot } from "../agents/AgentPool.ts"
import { Agents, missing } from "../agents/Agents.ts"
import { WorkingDirectories } from "../storage/WorkingDirectories.ts"
import * as Stopwatch from "../Stopwatch.ts"

export interface SessionProcess {
  /**
   * The agent, which is not evicted before the scope closes. Only one caller at a time may use it. A process that has ended
   * is replaced by another, once its whole group is gone.
   */
  readonly use: Effect.Effect<AgentSession, AgentFailed | AgentOptionRefused | PoolFull, Scope.Scope>
  /** Whether the process in use has ended, and has to be acquired again. */
  readonly hasEnded: Effect.Effect<boolean>
  readonly isAwake: Effect.Effect<boolean>
}

export interface Options {
  readonly sessionId: SessionId
  /** The agent's name in the table. */
  readonly agent: string
  readonly cwd: string
  /** Why its agent must not be started, in one sentence. */
  readonly withdrawn?: string | undefined
  readonly model: string | null
  readonly effort: string | null
  readonly system: SystemPrompt | null
  readonly mcpServers?: McpServers | undefined
  /** The agent's own id of the session, for one that is restored. */
  readonly agentSessionId?: string | undefined
}

interface Process {
  readonly agent: AgentSession
  readonly slot: ProcessSlot
  /** Whether it takes no more turns. */
  ended: boolean
}

/** A session counts as lost after this many failures in a row to restore it, if they are spread over this time. */
const maxRestoreFailures = 3
const restoreFailuresSpan = Duration.minutes(5)

/**
 * Tells failures to restore a session that may be temporary from those that are not, by their number and time. They are
 * counted in memory: anew after a restart of the server.
 */
const makeRestoreFailures = () => {
  let count = 0
  let first: Stopwatch.Stopwatch | undefined
  return {
    reset: Effect.sync(() => {
      count = 0
      first = undefined
    }),
    /** Counts a failure, and returns whether the session is lost. */
    add: Effect.gen(function* () {
      count++
      first ??= yield* Stopwatch.start
      const span = yield* first
      return count >= maxRestoreFailures && Duration.isGreaterThanOrEqualTo(span, restoreFailuresSpan)
    })
  }
}

/** The process ends with the scope, which waits for that. */
export const make = Effect.fnUntraced(function* (
  options: Options
): Effect.fn.Return<SessionProcess, never, AgentPool | Agents | WorkingDirectories | Scope.Scope> {
  const agents = yield* Agents
  const directories = yield* WorkingDirectories
  const pool = yield* AgentPool
  const scope = yield* Effect.scope
  let agentSessionId = options.agentSessionId
  let current: Process | undefined

  const lateEvents = yield* LateEvents.scoped(options.agent)
  const restoreFailures = makeRestoreFailures()
  const notRestored = Effect.fnUntraced(function* (failure: AgentFailed | AgentOptionRefused) {
    // Options that were accepted before may be accepted again, too.
    const failed =
      failure._tag === "AgentFailed"
        ? failure
        : new AgentFailed({
            error: failure.error,
            kind: "option_refused",
            stderr: "",
            stopReason: "error",
            restore: "failed"
          })
    if (failed.restore !== "failed" || !(yield* restoreFailures.add)) return yield* failed
    const { error, kind, stderr, stopReason } = failed
    return yield* new AgentFailed({ error, kind, stderr, stopReason, restore: "lost" })
  })

  // Held for as long as a process lives: the next one of the session, and the end of the scope, wait until it is gone.
  const processPermit = yield* Semaphore.make(1)
  yield* Effect.addFinalizer(() => processPermit.take(1))

  const start: Effect.Effect<Process, AgentFailed | AgentOptionRefused | PoolFull, Scope.Scope> = Effect.gen(
    function* () {
      // Before it waits for a slot, which it has no use for.
      if (!agents.has(options.agent)) return yield* missing(options.agent)
      if (options.withdrawn !== undefined) {
        return yield* new AgentFailed({
          error: options.withdrawn,
          stderr: "",
          stopReason: "error",
          kind: "cannot_start"
        })
      }
      yield* processPermit.takeScoped(1)
      const slot = yield* pool.acquire
      yield* directories.make(options.sessionId)
      const agent = yield* agents
        .open(options.agent, {
          cwd: options.cwd,
          load: agentSessionId,
          lateEvents,
          model: options.model ?? undefined,
          effort: options.effort ?? undefined,
          system: options.system ?? undefined,
          mcpServers: options.mcpServers
        })
        .pipe(Effect.catch((failure) => (agentSessionId === undefined ? Effect.fail(failure) : notRestored(failure))))
      yield* restoreFailures.reset
      agentSessionId = agent.id
      const process: Process = { agent, slot, ended: false }
      yield* Effect.acquireRelease(
        Effect.sync(() => {
          current = process
        }),
        () =>
          Effect.sync(() => {
            current = undefined
          })
      )
      yield* agent.ended.pipe(
        Effect.andThen(() => {
          process.ended = true
          return current === process ? end : Effect.void
        }),
        Effect.forkIn(scope)
      )
      return process
    }
  )

  const processes = yield* RcRef.make({ acquire: start, idleTimeToLive: Duration.infinity })
  /** Ends the process, or has it end after its use. */
  const end = RcRef.invalidate(processes)

  /** Only a process whose session another one can restore may be evicted. */
  const release = Effect.suspend(() => (current?.agent.isRestorable === true ? current.slot.release(end) : Effect.void))

  const use = Effect.gen(function* () {
    yield* Effect.addFinalizer(() => release)
    const first = yield* Scope.fork(yield* Effect.scope)
    const running = yield* Scope.provide(RcRef.get(processes), first)
    yield* running.slot.reclaim
    if (!running.ended) return running.agent
    yield* end
    yield* Scope.close(first, Exit.void)
    return (yield* RcRef.get(processes)).agent
  })

  const hasEnded = Effect.sync(() => current === undefined || current.ended)

  return { use, hasEnded, isAwake: Effect.sync(() => current !== undefined) }
})
