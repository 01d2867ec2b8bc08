/**
 * How many agent processes live at once, and which of them make room for others.
 *
 * Places are given in the order in which they were asked for. Where none is left, the process that has rested longest
 * is put to sleep; one that has rested for long enough is put to sleep unasked.
 */
import { Context, Duration, Effect, Exit, FiberSet, Latch, Layer, Scope, Semaphore } from "effect"
import { PoolFull } from "../../api/Errors.ts"
import * as Stopwatch from "../Stopwatch.ts"

/** Room for one process. */
export interface Place {
  /**
   * Nobody uses the process, so its place may go to another one: `sleep` ends the process then. It is asked for once at
   * most until the next `rest`.
   */
  readonly rest: (sleep: Effect.Effect<void>) => Effect.Effect<void>
  /** Somebody uses the process again. */
  readonly use: Effect.Effect<void>
}

export class AgentPool extends Context.Service<
  AgentPool,
  {
    /**
     * A place until the scope closes, by when its process must have ended. It fails when the wait for it would be, or
     * is, too long.
     */
    readonly place: Effect.Effect<Place, PoolFull, Scope.Scope>
    /** How many places are taken. */
    readonly size: Effect.Effect<number>
  }
>()("effect-clawdforge/server/agents/AgentPool") {}

export interface Options {
  /** How many agent processes may live at once, those of runs included; 16 if not given. */
  readonly maxProcesses?: number | undefined
  /** How long a process whose session has nothing to do is kept; 10 minutes if not given. */
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

/** A place whose process can be put to sleep. */
interface Resting {
  readonly sleep: Effect.Effect<void>
  readonly rested: Stopwatch.Stopwatch
}

export const make = Effect.fnUntraced(function* (options: Options) {
  const maxProcesses = options.maxProcesses ?? defaults.maxProcesses
  const maxProcessWait = options.maxProcessWait ?? defaults.maxProcessWait
  const maxProcessQueue = options.maxProcessQueue ?? defaults.maxProcessQueue
  const sleepAfter = Duration.fromInputUnsafe(options.sleepAfter ?? defaults.sleepAfter)

  const places = yield* Semaphore.make(maxProcesses)
  const falling = yield* FiberSet.make()
  const someRest = yield* Latch.make()
  /** The longest rest first. */
  const resting = new Map<Place, Resting>()
  /** The places that will be free by themselves, since their processes are being put to sleep. */
  const leaving = new Set<Place>()
  let taken = 0
  let waiting = 0

  const putToSleep = (place: Place, { sleep }: Resting) => {
    resting.delete(place)
    leaving.add(place)
    return FiberSet.run(falling, sleep)
  }

  /** Puts as many to sleep as are waited for. */
  const makeRoom = Effect.gen(function* () {
    for (const [place, rest] of resting) {
      if (waiting <= maxProcesses - taken + leaving.size) return
      yield* putToSleep(place, rest)
    }
  })

  const leave = (place: Place) =>
    Effect.sync(() => {
      taken--
      resting.delete(place)
      leaving.delete(place)
    })

  const place = Effect.gen(function* () {
    if (waiting >= maxProcessQueue) return yield* new PoolFull()
    const scope = yield* Effect.scope
    const place: Place = {
      rest: Effect.fnUntraced(function* (sleep) {
        resting.set(place, { sleep, rested: yield* Stopwatch.start })
        yield* someRest.open
        yield* makeRoom
      }),
      use: Effect.suspend(() => {
        resting.delete(place)
        // It was faster than its sleep, which somebody waits for.
        return leaving.delete(place) ? makeRoom : Effect.void
      })
    }
    waiting++
    yield* Effect.andThen(makeRoom, places.takeScoped(1)).pipe(
      Effect.timeoutOrElse({ duration: maxProcessWait, orElse: () => Effect.fail(new PoolFull()) }),
      Effect.onExit((exit) => {
        waiting--
        if (Exit.isFailure(exit)) return Effect.void
        taken++
        return Scope.addFinalizer(scope, leave(place))
      })
    )
    return place
  })

  yield* Effect.gen(function* () {
    yield* someRest.await
    const [longest] = resting
    if (longest === undefined) return yield* someRest.close
    const [place, rest] = longest
    const left = Duration.subtract(sleepAfter, yield* rest.rested)
    yield* Duration.isPositive(left) ? Effect.sleep(left) : putToSleep(place, rest)
  }).pipe(Effect.forever, Effect.forkScoped)

  return AgentPool.of({ place, size: Effect.sync(() => taken) })
})

export const layer = (options: Options) => Layer.effect(AgentPool, make(options))
