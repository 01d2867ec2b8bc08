/**
 * Runs git for the server, so that nothing which an agent can write decides what it does.
 *
 * A repository's own configuration can name programs: hooks, filters, a monitor of the file system. Git is therefore run
 * only in git directories that the server has made and that no agent has worked in yet, without the configuration of the
 * system and of the user.
 */
import { Config, Data, Effect, Stream } from "effect"
import { ChildProcess, ChildProcessSpawner } from "effect/process"

/** Git failed, or is not there. */
export class GitFailed extends Data.TaggedError("GitFailed")<{
  /** What git wrote, or why it could not be run. */
  readonly reason: string
}> {}

/** Git wrote more than it may. */
export class OutputTooLarge extends Data.TaggedError("OutputTooLarge") {}

/** What git may not read, run or ask for, whatever the repository says. */
const settings = [
  "core.hooksPath=/dev/null",
  "core.fsmonitor=false",
  "core.attributesFile=/dev/null",
  "core.excludesFile=/dev/null",
  "protocol.allow=never",
  "submodule.recurse=false",
  "gc.auto=0",
  "maintenance.auto=false"
]

const environment = (path: string) => ({
  PATH: path,
  HOME: "/nonexistent",
  LC_ALL: "C",
  GIT_CONFIG_NOSYSTEM: "1",
  GIT_CONFIG_SYSTEM: "/dev/null",
  GIT_CONFIG_GLOBAL: "/dev/null",
  GIT_ATTR_NOSYSTEM: "1",
  GIT_NO_REPLACE_OBJECTS: "1",
  GIT_OPTIONAL_LOCKS: "0",
  GIT_TERMINAL_PROMPT: "0"
})

/** How much of git's output a failure has. */
const maxReason = 2_000

export interface Options {
  /** The file of the index; the git directory's own if not given. */
  readonly index?: string | undefined
  /** The most bytes that it may write. */
  readonly maxBytes?: number | undefined
}

export interface Git {
  /** Runs git with these arguments, and returns what it writes. */
  readonly run: (
    args: ReadonlyArray<string>,
    options?: Options
  ) => Effect.Effect<Uint8Array, GitFailed | OutputTooLarge>
  /** The same as text, of an output that is small. */
  readonly text: (args: ReadonlyArray<string>, options?: Pick<Options, "index">) => Effect.Effect<string, GitFailed>
}

const concat = (chunks: ReadonlyArray<Uint8Array>): Uint8Array => new Uint8Array(Buffer.concat(chunks))

export const make = Effect.gen(function* () {
  const spawner = yield* ChildProcessSpawner.ChildProcessSpawner
  const env = environment(yield* Effect.orElseSucceed(Config.String("PATH"), () => "/usr/bin:/bin"))

  const run: Git["run"] = Effect.fnUntraced(
    function* (args, { index, maxBytes = Infinity } = {}) {
      const options = settings.flatMap((setting) => ["-c", setting])
      const handle = yield* spawner.spawn(
        ChildProcess.make("git", [...options, ...args], {
          cwd: "/",
          env: { ...env, ...(index === undefined ? {} : { GIT_INDEX_FILE: index }) },
          stdin: "ignore"
        })
      )
      let bytes = 0
      const stdout = handle.stdout.pipe(
        Stream.tap((chunk) => {
          bytes += chunk.byteLength
          return bytes > maxBytes ? Effect.fail(new OutputTooLarge()) : Effect.void
        }),
        Stream.runCollect
      )
      const stderr = Stream.mkString(Stream.decodeText(handle.stderr))
      const [written, said, code] = yield* Effect.all([stdout, stderr, handle.exitCode], { concurrency: 3 })
      if (code !== 0) return yield* new GitFailed({ reason: said.trim().slice(0, maxReason) })
      return concat(written)
    },
    Effect.scoped,
    Effect.catchTag("PlatformError", ({ message }) => Effect.fail(new GitFailed({ reason: message })))
  )

  const git: Git = {
    run,
    text: (args, options) =>
      run(args, options).pipe(
        Effect.map((bytes) => new TextDecoder().decode(bytes)),
        Effect.catchTag("OutputTooLarge", Effect.die)
      )
  }
  return git
})
