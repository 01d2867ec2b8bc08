/**
 * Limits how many agent processes live at once, and evicts idle ones.
 *
 * Slots are granted in the order of the requests. Where none is free, the process that has been idle longest is evicted;
 * one that has been idle for `sleepAfter` is evicted in any case.
 */
import { Context, Duration, Effect, Exit, FiberSet, Latch, Layer, Scope, Semaphore } from "effect"
import { PoolFull } from "../../api/Errors.ts"
import * as Stopwatch from "../Stopwatch.ts"

/** The right to run one process. */
export interface ProcessSlot {
  /** Marks the process as idle. It may be evicted from then on: `evict` ends it, and runs at most once per call of this. */
  readonly release: (evict: Effect.Effect<void>) => Effect.Effect<void>
  /** Marks the process as in use again. */
  readonly reclaim: Effect.Effect<void>
}

export class AgentPool extends Context.Service<
  AgentPool,
  {
    /**
     * Waits for a slot, which is held until the scope closes; its process must have ended by then. Fails where too many
     * wait already, or where the wait takes too long.
     */
    readonly acquire: Effect.Effect<ProcessSlot, PoolFull, Scope.Scope>
    /** The number of slots that are held. */
    readonly size: Effect.Effect<number>
  }
>()("effect-clawdforge/server/agents/AgentPool") {}

export interface Options {
  /** How many agent processes may live at once, those of runs included; 16 if not given. */
  readonly maxProcesses?: number | undefined
  /** How long the process of an idle session is kept; 10 minutes if not given. */
  readonly sleepAfter?: Duration.Input | undefined
  /** How long a session or a run waits for its process; 30 seconds if not given, as clients give a turn so much more. */
  readonly maxProcessWait?: Duration.Input | undefined
  /** How many sessions and runs may wait for a process at once; 1,000 if not given. */
  readonly maxProcessQueue?: number | undefined
}

const defaults = {
  maxProcesses: 16,
  sleepAfter: "10 minutes",
  maxProcessWait: "30 seconds",
  maxProcessQueue: 1_000
} as const

/** How an idle process is evicted, and for how long it has been idle. */
interface Idle {
  readonly evict: Effect.Effect<void>
  readonly idleFor: Stopwatch.Stopwatch
}

export const make = Effect.fnUntraced(function* (options: Options) {
  const maxProcesses = options.maxProcesses ?? defaults.maxProcesses
  const maxProcessWait = options.maxProcessWait ?? defaults.maxProcessWait
  const maxProcessQueue = options.maxProcessQueue ?? defaults.maxProcessQueue
  const sleepAfter = Duration.fromInputUnsafe(options.sleepAfter ?? defaults.sleepAfter)

  const permits = yield* Semaphore.make(maxProcesses)
  const evictions = yield* FiberSet.make()
  const someIdle = yield* Latch.make()
  /** The longest idle first. */
  const idle = new Map<ProcessSlot, Idle>()
  /** The slots whose processes are being evicted, which become free without another eviction. */
  const evicted = new Set<ProcessSlot>()
  let held = 0
  let waiting = 0

  const evict = (slot: ProcessSlot, { evict }: Idle) => {
    idle.delete(slot)
    evicted.add(slot)
    return FiberSet.run(evictions, evict)
  }

  /** Evicts as many processes as there are requests for slots. */
  const makeRoom = Effect.gen(function* () {
    for (const [slot, each] of idle) {
      if (waiting <= maxProcesses - held + evicted.size) return
      yield* evict(slot, each)
    }
  })

  const free = (slot: ProcessSlot) =>
    Effect.sync(() => {
      held--
      idle.delete(slot)
      evicted.delete(slot)
    })

  const acquire = Effect.gen(function* () {
    if (waiting >= maxProcessQueue) return yield* new PoolFull()
    const scope = yield* Effect.scope
    const slot: ProcessSlot = {
      release: Effect.fnUntraced(function* (evict) {
        idle.set(slot, { evict, idleFor: yield* Stopwatch.start })
        yield* someIdle.open
        yield* makeRoom
      }),
      reclaim: Effect.suspend(() => {
        idle.delete(slot)
        // Reclaimed before it was evicted; evict another.
        return evicted.delete(slot) ? makeRoom : Effect.void
      })
    }
    waiting++
    yield* Effect.andThen(makeRoom, permits.takeScoped(1)).pipe(
      Effect.timeoutOrElse({ duration: maxProcessWait, orElse: () => Effect.fail(new PoolFull()) }),
      Effect.onExit((exit) => {
        waiting--
        if (Exit.isFailure(exit)) return Effect.void
        held++
        return Scope.addFinalizer(scope, free(slot))
      })
    )
    return slot
  })

  yield* Effect.gen(function* () {
    yield* someIdle.await
    const [longest] = idle
    if (longest === undefined) return yield* someIdle.close
    const [slot, each] = longest
    const left = Duration.subtract(sleepAfter, yield* each.idleFor)
    yield* Duration.isPositive(left) ? Effect.sleep(left) : evict(slot, each)
  }).pipe(Effect.forever, Effect.forkScoped)

  return AgentPool.of({ acquire, size: Effect.sync(() => held) })
})

export const layer = (options: Options) => Layer.effect(AgentPool, make(options))
