/**
 * The process of an agent: in a group of its own, with an environment of its own, and dead with its scope.
 */
import { Deferred, Effect, type PlatformError, type Scope, Stream, type Sink } from "effect"
import { ChildProcess, ChildProcessSpawner } from "effect/process"
import { type AgentDefinition, AgentFailed } from "../Agent.ts"
import * as AgentEnvironment from "./AgentEnvironment.ts"
import { Watchdog } from "./Watchdog.ts"

export interface AgentChild {
  readonly pid: number
  readonly stdin: Sink.Sink<void, Uint8Array, never, PlatformError.PlatformError>
  readonly stdout: Stream.Stream<Uint8Array, PlatformError.PlatformError>
  /** Adds a line to the tail of what the agent wrote beside the protocol. */
  readonly note: (line: string) => Effect.Effect<void>
  /** Ends the whole group: SIGTERM, and SIGKILL to what is left after the grace. The reason is what `exited` tells. */
  readonly kill: (reason: string) => Effect.Effect<void>
  /** How the process ended, once it has: the sentence that failures give. */
  readonly exited: Effect.Effect<string>
  /** A failure with the tail of standard error. */
  readonly failure: (error: string, stopReason?: AgentFailed["stopReason"]) => Effect.Effect<AgentFailed>
  /** Fails with that. */
  readonly fail: (error: string, stopReason?: AgentFailed["stopReason"]) => Effect.Effect<never, AgentFailed>
}

/** How long a group has to end on SIGTERM before it is killed. */
const forceKillAfter = "2 seconds"

/** As much of standard error as a failure carries. */
const maxTail = 8_192

/** After the process has ended its last words are waited for this long: a descendant may hold the pipe open. */
const lastWords = "1 second"

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
  return new AgentFailed({ error: `Agent ${definition.name} cannot start: ${what}.`, stderr: "", stopReason: "error" })
}

/** The spawner tells of a signal only in the text of its error. */
const signalOf = (error: PlatformError.PlatformError): string =>
  /'(SIG[A-Z0-9]+)'/.exec(String(error.cause))?.[1] ?? "a signal"

/** Keeps the end of what the agent wrote. */
const makeTail = () => {
  let tail = ""
  return {
    add: (text: string) =>
      Effect.sync(() => {
        tail = (tail + text).slice(-maxTail)
      }),
    get: Effect.sync(() => tail)
  }
}

/** Starts the agent in a working directory. */
export const spawn = Effect.fnUntraced(function* (
  definition: AgentDefinition,
  options: { readonly cwd: string }
): Effect.fn.Return<AgentChild, AgentFailed, Scope.Scope | ChildProcessSpawner.ChildProcessSpawner | Watchdog> {
  const [command, ...args] = argvOf(definition)
  const watchdog = yield* Watchdog
  const spawner = yield* ChildProcessSpawner.ChildProcessSpawner
  // Taken before the process starts, so that at the end it goes after the group has been killed.
  const ward = yield* watchdog.ward
  const handle = yield* spawner
    .spawn(
      ChildProcess.make(command, args, {
        cwd: options.cwd,
        env: { ...AgentEnvironment.make(definition), ...ward.mark },
        detached: true,
        forceKillAfter
      })
    )
    .pipe(Effect.mapError((error) => spawnFailure(definition, options.cwd, error)))
  yield* ward.started(handle.pid)

  const tail = makeTail()
  const drained = yield* Deferred.make<void>()
  yield* handle.stderr.pipe(
    Stream.decodeText(),
    Stream.runForEach(tail.add),
    Effect.ignore,
    Effect.ensuring(Deferred.succeed(drained, undefined)),
    Effect.forkScoped
  )

  let killedFor: string | undefined
  const exited = handle.exitCode.pipe(
    Effect.match({
      onSuccess: (code) => `exited with code ${code}`,
      onFailure: (error) => `was ended by ${signalOf(error)}`
    }),
    Effect.map((how) => `Agent ${definition.name} ${killedFor ?? how}.`)
  )

  const failure = Effect.fnUntraced(function* (error: string, stopReason: AgentFailed["stopReason"] = "error") {
    if (!(yield* handle.isRunning.pipe(Effect.orElseSucceed(() => false)))) {
      yield* Effect.timeoutOption(Deferred.await(drained), lastWords)
    }
    return new AgentFailed({ error, stderr: yield* tail.get, stopReason })
  })

  return {
    pid: handle.pid,
    stdin: handle.stdin,
    stdout: handle.stdout,
    note: (line) => tail.add(`${line}\n`),
    kill: (reason) =>
      Effect.suspend(() => {
        killedFor ??= reason
        return Effect.ignore(handle.kill({ forceKillAfter }))
      }),
    exited,
    failure,
    fail: (error, stopReason) => Effect.flatMap(failure(error, stopReason), Effect.fail)
  }
})
