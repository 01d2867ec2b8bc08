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

export interface Git {
  /** Runs git with these arguments, and returns its standard output. */
  readonly run: (args: ReadonlyArray<string>) => Effect.Effect<string, GitFailed>
}

export const make = Effect.gen(function* () {
  const spawner = yield* ChildProcessSpawner.ChildProcessSpawner
  const env = environment(yield* Effect.orElseSucceed(Config.String("PATH"), () => "/usr/bin:/bin"))

  const run = Effect.fnUntraced(
    function* (args: ReadonlyArray<string>) {
      const options = settings.flatMap((setting) => ["-c", setting])
      const handle = yield* spawner.spawn(
        ChildProcess.make("git", [...options, ...args], { cwd: "/", env, stdin: "ignore" })
      )
      const text = (stream: typeof handle.stdout) => Stream.mkString(Stream.decodeText(stream))
      const [stdout, stderr, code] = yield* Effect.all([text(handle.stdout), text(handle.stderr), handle.exitCode], {
        concurrency: 3
      })
      if (code !== 0) return yield* new GitFailed({ reason: stderr.trim().slice(0, maxReason) })
      return stdout
    },
    Effect.scoped,
    Effect.catchTag("PlatformError", ({ message }) => Effect.fail(new GitFailed({ reason: message })))
  )
  return { run } satisfies Git
})
