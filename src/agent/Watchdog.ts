/**
 * Nothing of an agent outlives its session, or this process, however it ends.
 *
 * A scope that closes kills its agent's group; what that cannot reach is the work of a small process beside this one
 * (watchdog/Main.ts): descendants that left the group, and everything when this process is killed. They are known by
 * a mark in their environment, random for each server, and by group and start time; never by name. Where these are
 * recorded, the watchdog of the next server ends what is left when both were killed.
 */
import { Context, Data, Deferred, Effect, Fiber, Layer, Queue, type Scope, Stream } from "effect"
import { ChildProcess, ChildProcessSpawner } from "effect/process"
import { fileURLToPath } from "node:url"

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
>()("effect-clawdforge/agent/Watchdog") {
  static readonly layer = (
    options: Options = {}
  ): Layer.Layer<Watchdog, WatchdogFailed, ChildProcessSpawner.ChildProcessSpawner> =>
    Layer.effect(Watchdog, make(options))
}

export interface Options {
  /** A folder in which it is recorded which agents run. One server at a time has it; it ends those of the one before. */
  readonly records?: string | undefined
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

export const make = Effect.fnUntraced(function* (
  options: Options
): Effect.fn.Return<Watchdog["Service"], WatchdogFailed, ChildProcessSpawner.ChildProcessSpawner | Scope.Scope> {
  const spawner = yield* ChildProcessSpawner.ChildProcessSpawner
  const server = yield* Effect.sync(randomMark)
  const handle = yield* spawner
    .spawn(
      ChildProcess.make(process.execPath, [program, `${markName}=${server}`, options.records ?? ""], {
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
  const reaped = new Map<string, Deferred.Deferred<void>>()
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
    Stream.runForEach((line) => {
      const waiting = line === "ready" ? ready : reaped.get(line.slice("reaped ".length))
      return waiting === undefined ? Effect.void : Deferred.succeed(waiting, undefined)
    }),
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
  // Every agent has been reaped by its own scope, so the watchdog has nothing left to look for.
  yield* Effect.addFinalizer(() =>
    Queue.offer(commands, "done").pipe(Effect.andThen(Fiber.await(ended)), Effect.timeoutOption("2 seconds"))
  )

  const reap = Effect.fnUntraced(function* (mark: string) {
    const done = yield* Deferred.make<void>()
    reaped.set(mark, done)
    yield* Queue.offer(commands, `reap ${mark}`)
    yield* Deferred.await(done).pipe(
      Effect.raceFirst(Fiber.await(ended)),
      Effect.timeoutOption(reapLimit),
      Effect.ensuring(Effect.sync(() => reaped.delete(mark)))
    )
  })

  let count = 0
  const ward = Effect.acquireRelease(
    Effect.sync(() => `${server}.${++count}`),
    (value) => reap(`${markName}=${value}`)
  ).pipe(
    Effect.map((value): Ward => ({
      mark: { [markName]: value },
      started: (pid) => Effect.asVoid(Queue.offer(commands, `watch ${markName}=${value} ${pid}`))
    }))
  )
  return Watchdog.of({ ward })
})
