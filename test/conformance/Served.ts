/**
 * `forge serve` as a process.
 */
import { Deferred, Effect, type Scope } from "effect"
import { spawn } from "node:child_process"
import { join } from "node:path"

/** A running server, and what can be observed from outside. */
export interface Served {
  readonly url: string
  readonly adminToken: string
  readonly pid: number
  /** The folder for all its files, which is also in the environment of each of its processes. */
  readonly home: string
  readonly data: string
  readonly stderr: () => string
  /** Sends it a signal, and waits for its end. */
  readonly end: (signal: "SIGTERM" | "SIGKILL") => Effect.Effect<void>
}

export interface Options {
  /** Its own folder, which outlives it. */
  readonly home: string
  readonly adminToken: string
  readonly flags: ReadonlyArray<string>
  readonly node?: ReadonlyArray<string> | undefined
  readonly env?: Readonly<Record<string, string>> | undefined
}

export { home } from "./Home.ts"

/** Starts one, which ends with the scope, and waits until it listens. */
export const serve = Effect.fnUntraced(function* (options: Options): Effect.fn.Return<Served, never, Scope.Scope> {
  const { adminToken, home } = options
  const listening = yield* Deferred.make<string>()
  const ended = yield* Deferred.make<void>()
  let [stdout, stderr] = ["", ""]
  const start = Effect.sync(() => {
    const args = [...(options.node ?? []), "src/cli/forge.ts", "serve", "--listen=127.0.0.1:0", ...options.flags]
    const child = spawn(process.execPath, args, {
      detached: true,
      env: {
        PATH: process.env["PATH"],
        HOME: home,
        TMPDIR: home,
        CLAWDFORGE_ADMIN_TOKEN: adminToken,
        ...options.env
      },
      stdio: ["ignore", "pipe", "pipe"]
    })
    child.stdout.on("data", (chunk) => {
      stdout += String(chunk)
      const url = /^listening (http:\S+)\n/.exec(stdout)?.[1]
      if (url !== undefined) Deferred.doneUnsafe(listening, Effect.succeed(url))
    })
    child.stderr.on("data", (chunk) => {
      stderr = (stderr + String(chunk)).slice(-100_000)
    })
    child.on("close", () => {
      Deferred.doneUnsafe(ended, Effect.void)
      Deferred.doneUnsafe(listening, Effect.die(new Error(`it ended: ${stderr}${stdout}`)))
    })
    return child
  })
  const child = yield* Effect.acquireRelease(start, (child) =>
    Effect.sync(() => child.kill("SIGTERM")).pipe(
      Effect.andThen(Deferred.await(ended)),
      Effect.timeoutOrElse({ duration: "15 seconds", orElse: () => Effect.sync(() => child.kill("SIGKILL")) })
    )
  )
  return {
    url: yield* Deferred.await(listening),
    adminToken,
    pid: child.pid ?? 0,
    home,
    data: join(home, ".local/state/clawdforge"),
    stderr: () => stderr,
    end: (signal) =>
      Effect.andThen(
        Effect.sync(() => child.kill(signal)),
        Deferred.await(ended)
      )
  }
})
