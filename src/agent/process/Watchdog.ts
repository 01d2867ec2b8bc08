/**
 * Makes sure that no process of an agent outlives its session or this process, even if this process is killed.
 *
 * Closing an agent's scope kills its process group. A small separate process, the watchdog (watchdog/Main.ts), kills the
 * rest: descendants that left the group, and all agents once this process has died. It identifies them by a mark in their
 * environment, random for each server, and by group and start time, never by name. If the watchdog is killed, another is
 * started. If both are killed, the watchdog of the next server kills what is left, provided `records` is set.
 */
import { Context, Data, Deferred, Effect, Fiber, Layer, Queue, type Scope, Stream } from "effect"
import { ChildProcess, ChildProcessSpawner } from "effect/process"
import { fileURLToPath } from "node:url"
import { groupOf } from "./watchdog/Processes.ts"

/** The watchdog process could not be started; no agent runs without it. */
export class WatchdogFailed extends Data.TaggedError("WatchdogFailed")<{ readonly cause: unknown }> {
  override get message(): string {
    return "The watchdog process could not be started."
  }
}

/** The watch over one agent. When its scope closes, the agent's remaining processes are killed. */
export interface AgentWatch {
  /** The variable to set in the agent's environment, which all its descendants inherit. */
  readonly mark: Readonly<Record<string, string>>
  /** Reports the agent's process group to the watchdog. */
  readonly started: (pid: number) => Effect.Effect<void>
}

export class Watchdog extends Context.Service<
  Watchdog,
  {
    readonly watch: Effect.Effect<AgentWatch, never, Scope.Scope>
  }
>()("effect-clawdforge/agent/process/Watchdog") {
  static readonly layer = (
    options: Options = {}
  ): Layer.Layer<Watchdog, WatchdogFailed, ChildProcessSpawner.ChildProcessSpawner> =>
    Layer.effect(Watchdog, make(options))
}

export interface Options {
  /** A folder to record the running agents in, used by one server at a time. Agents left by an earlier server are killed at the start. */
  readonly records?: string | undefined
  /** A folder for the watchdog to remove after the last agent, if this process is killed. */
  readonly temporary?: string | undefined
}

const markName = "FORGE_AGENT_MARK"

/** Agents of an earlier server are killed first, which takes up to ten seconds. */
const readyLimit = "15 seconds"

/** The watchdog itself gives up after ten seconds. */
const reapLimit = "12 seconds"

/** Relative to this file, with its extension: `.ts` as source, `.js` as built. */
const program = fileURLToPath(new URL(`./watchdog/Main${import.meta.url.slice(-3)}`, import.meta.url))

// boundary: the mark must differ between two servers even where Effect's Random is seeded.
const randomMark = (): string => globalThis.crypto.randomUUID()

/** The pause before another attempt to start a watchdog. */
const restartDelay = "1 second"

/** A watchdog process that is ready. */
interface WatchdogProcess {
  readonly send: (command: string) => Effect.Effect<void>
  /** Waits for the process to exit. */
  readonly ended: Effect.Effect<unknown>
}

/** Starts a watchdog process, and stops it when the scope closes. */
const start = Effect.fnUntraced(function* (
  args: ReadonlyArray<string>,
  reaped: (mark: string) => Effect.Effect<void>
): Effect.fn.Return<WatchdogProcess, WatchdogFailed, ChildProcessSpawner.ChildProcessSpawner | Scope.Scope> {
  const spawner = yield* ChildProcessSpawner.ChildProcessSpawner
  const handle = yield* spawner
    .spawn(
      ChildProcess.make(process.execPath, [program, ...args], {
        cwd: "/",
        env: {},
        // In its own session, where a signal to the terminal's group does not reach it.
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
  // Until it is ready, a signal would still kill it.
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
  return { send: (command) => Effect.asVoid(Queue.offer(commands, command)), ended: Fiber.await(ended) }
})

export const make = Effect.fnUntraced(function* (
  options: Options
): Effect.fn.Return<Watchdog["Service"], WatchdogFailed, ChildProcessSpawner.ChildProcessSpawner | Scope.Scope> {
  const server = yield* Effect.sync(randomMark)
  /** The running groups, and the marks being reaped, to send to the next watchdog if this one dies. */
  const groups = new Map<string, string>()
  const reaping = new Map<string, Deferred.Deferred<void>>()
  let active: WatchdogProcess | undefined
  const send = (command: string) => Effect.suspend(() => active?.send(command) ?? Effect.void)
  const sendGroup = (mark: string, group: string) => send(`watch ${mark} ${group}`)
  const reaped = (mark: string) => {
    const done = reaping.get(mark)
    return done === undefined ? Effect.void : Effect.asVoid(Deferred.succeed(done, undefined))
  }

  const firstStart = yield* Deferred.make<void, WatchdogFailed>()
  const args = [`${markName}=${server}`, options.records ?? "", options.temporary ?? ""]
  yield* Effect.gen(function* () {
    const { ended } = (active = yield* start(args, reaped))
    yield* Effect.forEach(groups, ([mark, group]) => sendGroup(mark, group), { discard: true })
    yield* Effect.forEach(reaping.keys(), (mark) => send(`reap ${mark}`), { discard: true })
    yield* Deferred.succeed(firstStart, undefined)
    yield* ended
    active = undefined
    yield* Effect.logError("the watchdog process exited unexpectedly; starting another")
  }).pipe(
    Effect.scoped,
    Effect.catchTag("WatchdogFailed", (failure) =>
      Effect.flatMap(Deferred.fail(firstStart, failure), (isFirst) =>
        isFirst ? Effect.never : Effect.andThen(Effect.logError(failure.message), Effect.sleep(restartDelay))
      )
    ),
    Effect.forever,
    Effect.forkScoped
  )
  yield* Deferred.await(firstStart)

  const reap = Effect.fnUntraced(function* (mark: string) {
    const done = yield* Deferred.make<void>()
    reaping.set(mark, done)
    yield* send(`reap ${mark}`)
    yield* Effect.timeoutOption(Deferred.await(done), reapLimit)
    groups.delete(mark)
    reaping.delete(mark)
  })

  const started = (mark: string, pid: number) =>
    Effect.suspend(() => {
      // The start time is read now: later the process may have exited, and its pid may belong to another.
      const group = `${pid} ${groupOf(pid).startTime ?? ""}`
      groups.set(mark, group)
      return sendGroup(mark, group)
    })

  let count = 0
  const watch = Effect.acquireRelease(
    Effect.sync(() => `${server}.${++count}`),
    (value) => reap(`${markName}=${value}`)
  ).pipe(
    Effect.map((value): AgentWatch => ({
      mark: { [markName]: value },
      started: (pid) => started(`${markName}=${value}`, pid)
    }))
  )
  return Watchdog.of({ watch })
})
