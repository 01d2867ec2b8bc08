/**
 * Starts an agent's process in its own process group, and kills the group when the scope closes.
 */
import { Deferred, Effect, type PlatformError, type Scope, Stream, type Sink } from "effect"
import { ChildProcess, ChildProcessSpawner } from "effect/process"
import { type AgentDefinition, AgentFailed, type AgentFailureKind } from "../Agent.ts"
import * as AgentEnvironment from "./AgentEnvironment.ts"
import { Watchdog } from "./Watchdog.ts"

export interface AgentChild {
  readonly pid: number
  readonly stdin: Sink.Sink<void, Uint8Array, never, PlatformError.PlatformError>
  readonly stdout: Stream.Stream<Uint8Array, PlatformError.PlatformError>
  /** Adds a line to the tail of standard error that failures carry. */
  readonly appendStderr: (line: string) => Effect.Effect<void>
  /** Terminates the whole group: SIGTERM, then SIGKILL after two seconds. `exited` reports the reason. */
  readonly kill: (reason: string) => Effect.Effect<void>
  /** Waits for the process to exit, and returns a sentence that says how it did. */
  readonly exited: Effect.Effect<string>
  /** Makes a failure with the tail of standard error. */
  readonly failure: (
    error: string,
    stopReason?: AgentFailed["stopReason"],
    kind?: AgentFailureKind
  ) => Effect.Effect<AgentFailed>
  /** Fails with `failure`. */
  readonly fail: (
    error: string,
    stopReason?: AgentFailed["stopReason"],
    kind?: AgentFailureKind
  ) => Effect.Effect<never, AgentFailed>
}

/** How long a group may take to exit on SIGTERM before it is killed. */
const forceKillAfter = "2 seconds"

/** The most characters of standard error that a failure carries. */
const maxTailLength = 8_192

/** How long to read standard error after the exit: a descendant may hold the pipe open. */
const stderrDrainLimit = "1 second"

const argvOf = ({ command, wrap }: AgentDefinition): AgentDefinition["command"] =>
  wrap === undefined ? command : [...wrap, ...command]

const spawnFailures: Readonly<Record<string, string>> = {
  NotFound: "was not found",
  PermissionDenied: "may not be run"
}

const spawnFailure = (definition: AgentDefinition, cwd: string, error: PlatformError.PlatformError): AgentFailed => {
  const [command] = argvOf(definition)
  const { reason } = error
  const why = spawnFailures[reason._tag] ?? `could not be run: ${reason.description ?? reason._tag}`
  const what =
    reason.module === "FileSystem" ? `its working directory ${cwd} cannot be used` : `the command ${command} ${why}`
  return new AgentFailed({
    error: `Agent ${definition.name} cannot start: ${what}.`,
    stderr: "",
    stopReason: "error",
    kind: "cannot_start"
  })
}

/** The spawner reports a signal only in the text of its error. */
const signalOf = (error: PlatformError.PlatformError): string =>
  /'(SIG[A-Z0-9]+)'/.exec(String(error.cause))?.[1] ?? "a signal"

/** Keeps the last characters that are added. */
const makeTail = () => {
  let tail = ""
  return {
    add: (text: string) =>
      Effect.sync(() => {
        tail = (tail + text).slice(-maxTailLength)
      }),
    get: Effect.sync(() => tail.toWellFormed())
  }
}

/** Starts an agent in a working directory. */
export const spawn = Effect.fnUntraced(function* (
  definition: AgentDefinition,
  options: { readonly cwd: string }
): Effect.fn.Return<AgentChild, AgentFailed, Scope.Scope | ChildProcessSpawner.ChildProcessSpawner | Watchdog> {
  const [command, ...args] = argvOf(definition)
  const watchdog = yield* Watchdog
  const spawner = yield* ChildProcessSpawner.ChildProcessSpawner
  // Acquired before the process, so that it is released after the group has been killed.
  const watch = yield* watchdog.watch
  const handle = yield* spawner
    .spawn(
      ChildProcess.make(command, args, {
        cwd: options.cwd,
        env: { ...AgentEnvironment.make(definition), ...watch.mark },
        detached: true,
        forceKillAfter
      })
    )
    .pipe(Effect.mapError((error) => spawnFailure(definition, options.cwd, error)))
  yield* watch.started(handle.pid)

  const tail = makeTail()
  const drained = yield* Deferred.make<void>()
  yield* handle.stderr.pipe(
    Stream.decodeText(),
    Stream.runForEach(tail.add),
    Effect.ignore,
    Effect.ensuring(Deferred.succeed(drained, undefined)),
    Effect.forkScoped
  )

  yield* Effect.exit(handle.exitCode).pipe(
    Effect.andThen(Effect.sleep(stderrDrainLimit)),
    Effect.andThen(Deferred.succeed(drained, undefined)),
    Effect.forkScoped
  )

  let killReason: string | undefined
  const exited = handle.exitCode.pipe(
    Effect.match({
      onSuccess: (code) => `exited with code ${code}`,
      onFailure: (error) => `was terminated by ${signalOf(error)}`
    }),
    Effect.map((how) => `Agent ${definition.name} ${killReason ?? how}.`)
  )

  const failure = Effect.fnUntraced(function* (
    error: string,
    stopReason: AgentFailed["stopReason"] = "error",
    kind?: AgentFailureKind
  ) {
    if (!(yield* handle.isRunning.pipe(Effect.orElseSucceed(() => false)))) {
      yield* Deferred.await(drained)
    }
    return new AgentFailed({ error, stderr: yield* tail.get, stopReason, kind })
  })

  return {
    pid: handle.pid,
    stdin: handle.stdin,
    stdout: handle.stdout,
    appendStderr: (line) => tail.add(`${line}\n`),
    kill: (reason) =>
      Effect.suspend(() => {
        killReason ??= reason
        return Effect.ignore(handle.kill({ forceKillAfter }))
      }),
    exited,
    failure,
    fail: (error, stopReason, kind) => Effect.flatMap(failure(error, stopReason, kind), Effect.fail)
  }
})
