/**
 * Nothing of an agent outlives its session, or this process, however it ends.
 *
 * A scope that closes kills its agent's group; what that cannot reach is the work of a small process beside this one
 * (watchdog/Main.ts): descendants that left the group, and everything when this process is killed. They are known by
 * a mark in their environment, random for each server, and by group and start time; never by name. Where these are
 * recorded, the watchdog of the next server ends what is left when both were killed. Where the watchdog alone is killed,
 * another takes its place.
 */
import { Context, Data, Deferred, Effect, Fiber, Layer, Queue, type Scope, Stream } from "effect"
import { ChildProcess, ChildProcessSpawner } from "effect/process"
import { fileURLToPath } from "node:url"
import { groupOf } from "./watchdog/Processes.ts"

/** The watchdog could not be started, without which no agent is. */
export class WatchdogFailed extends Data.TaggedError("WatchdogFailed")<{ readonly cause: unknown }> {
  override get message(): string {
    return "The watchdog process could not be started."
  }
}

/** The guard over one agent. Its scope ends when nothing of the agent is left. */
export interface Ward {
  /** Goes into the agent's environment, from where all its descendants have it. */
  readonly mark: Readonly<Record<string, string>>
  /** Tells the watchdog of the agent's group. */
  readonly started: (pid: number) => Effect.Effect<void>
}

export class Watchdog extends Context.Service<
  Watchdog,
  {
    readonly ward: Effect.Effect<Ward, never, Scope.Scope>
  }
>()("effect-clawdforge/agent/process/Watchdog") {
  static readonly layer = (
    options: Options = {}
  ): Layer.Layer<Watchdog, WatchdogFailed, ChildProcessSpawner.ChildProcessSpawner> =>
    Layer.effect(Watchdog, make(options))
}

export interface Options {
  /** A folder in which it is recorded which agents run. One server at a time has it; it ends those of the one before. */
  readonly records?: string | undefined
  /** A folder to remove, once no agent is left, where this process is killed and cannot do it. */
  readonly temporary?: string | undefined
}

const markName = "FORGE_AGENT_MARK"

/** Agents of an earlier server are ended first, which takes up to ten seconds. */
const readyLimit = "15 seconds"

/** The watchdog gives up after ten seconds by itself. */
const reapLimit = "12 seconds"

/** Beside this file, as source or as built. */
const program = fileURLToPath(new URL(`./watchdog/Main${import.meta.url.slice(-3)}`, import.meta.url))

// boundary: the mark must differ between two servers even where Effect's Random is seeded.
const randomMark = (): string => globalThis.crypto.randomUUID()

/** How long to wait where another watchdog cannot be started. */
const startAgain = "1 second"

/** A watchdog process that is ready. */
interface Guard {
  readonly tell: (command: string) => Effect.Effect<void>
  /** Waits for its end. */
  readonly ended: Effect.Effect<unknown>
}

/** Starts a watchdog process, which has nothing left to look for at the end of the scope. */
const start = Effect.fnUntraced(function* (
  args: ReadonlyArray<string>,
  reaped: (mark: string) => Effect.Effect<void>
): Effect.fn.Return<Guard, WatchdogFailed, ChildProcessSpawner.ChildProcessSpawner | Scope.Scope> {
  const spawner = yield* ChildProcessSpawner.ChildProcessSpawner
  const handle = yield* spawner
    .spawn(
      ChildProcess.make(process.execPath, [program, ...args], {
        cwd: "/",
        env: {},
        // Its own session: a signal to the terminal's group does not reach it.
        detached: true,
        stderr: "ignore",
        forceKillAfter: "1 second"
      })
    )
    .pipe(Effect.mapError((cause) => new WatchdogFailed({ cause })))

  const commands = yield* Queue.unbounded<string>()
  yield* Stream.fromQueue(commands).pipe(
    Stream.map((command) => `${command}\n`),
    Stream.encodeText,
    Stream.run(handle.stdin),
    Effect.ignore,
    Effect.forkScoped
  )
  const ready = yield* Deferred.make<void>()
  yield* handle.stdout.pipe(
    Stream.decodeText(),
    Stream.splitLines,
    Stream.runForEach((line) =>
      line === "ready" ? Deferred.succeed(ready, undefined) : reaped(line.slice("reaped ".length))
    ),
    Effect.ignore,
    Effect.forkScoped
  )
  const ended = yield* Effect.exit(handle.exitCode).pipe(Effect.forkScoped)
  // A signal would still end it while it starts.
  yield* Deferred.await(ready).pipe(
    Effect.raceFirst(Effect.flatMap(Fiber.await(ended), (cause) => Effect.fail(new WatchdogFailed({ cause })))),
    Effect.timeoutOrElse({
      duration: readyLimit,
      orElse: () => Effect.fail(new WatchdogFailed({ cause: "not ready in time" }))
    })
  )
  yield* Effect.addFinalizer(() =>
    Queue.offer(commands, "done").pipe(Effect.andThen(Fiber.await(ended)), Effect.timeoutOption("2 seconds"))
  )
  return { tell: (command) => Effect.asVoid(Queue.offer(commands, command)), ended: Fiber.await(ended) }
})

export const make = Effect.fnUntraced(function* (
  options: Options
): Effect.fn.Return<Watchdog["Service"], WatchdogFailed, ChildProcessSpawner.ChildProcessSpawner | Scope.Scope> {
  const server = yield* Effect.sync(randomMark)
  /** What has to be told to another watchdog, when this one dies: the groups that run, and what is to be reaped. */
  const groups = new Map<string, string>()
  const reaping = new Map<string, Deferred.Deferred<void>>()
  let guard: Guard | undefined
  const tell = (command: string) => Effect.suspend(() => guard?.tell(command) ?? Effect.void)
  const watch = (mark: string, group: string) => tell(`watch ${mark} ${group}`)
  const reaped = (mark: string) => {
    const waiting = reaping.get(mark)
    return waiting === undefined ? Effect.void : Effect.asVoid(Deferred.succeed(waiting, undefined))
  }

  const first = yield* Deferred.make<void, WatchdogFailed>()
  const args = [`${markName}=${server}`, options.records ?? "", options.temporary ?? ""]
  yield* Effect.gen(function* () {
    const { ended } = (guard = yield* start(args, reaped))
    yield* Effect.forEach(groups, ([mark, group]) => watch(mark, group), { discard: true })
    yield* Effect.forEach(reaping.keys(), (mark) => tell(`reap ${mark}`), { discard: true })
    yield* Deferred.succeed(first, undefined)
    yield* ended
    guard = undefined
    yield* Effect.logError("the watchdog process has ended, which it never does by itself: another one is started")
  }).pipe(
    Effect.scoped,
    Effect.catchTag("WatchdogFailed", (failure) =>
      Effect.flatMap(Deferred.fail(first, failure), (isFirst) =>
        isFirst ? Effect.never : Effect.andThen(Effect.logError(failure.message), Effect.sleep(startAgain))
      )
    ),
    Effect.forever,
    Effect.forkScoped
  )
  yield* Deferred.await(first)

  const reap = Effect.fnUntraced(function* (mark: string) {
    const done = yield* Deferred.make<void>()
    reaping.set(mark, done)
    yield* tell(`reap ${mark}`)
    yield* Effect.timeoutOption(Deferred.await(done), reapLimit)
    groups.delete(mark)
    reaping.delete(mark)
  })

  const started = (mark: string, pid: number) =>
    Effect.suspend(() => {
      // Taken now: one that is told of later may have ended, and its number be another's.
      const group = `${pid} ${groupOf(pid).startTime ?? ""}`
      groups.set(mark, group)
      return watch(mark, group)
    })

  let count = 0
  const ward = Effect.acquireRelease(
    Effect.sync(() => `${server}.${++count}`),
    (value) => reap(`${markName}=${value}`)
  ).pipe(
    Effect.map((value): Ward => ({
      mark: { [markName]: value },
      started: (pid) => started(`${markName}=${value}`, pid)
    }))
  )
  return Watchdog.of({ ward })
})
