/**
 * The servers that the suite is held against.
 */
import { ByteSize, Config, Deferred, Effect, Layer, Option, Redacted } from "effect"
import { HttpClient } from "effect/http"
import { spawn } from "node:child_process"
import { randomBytes } from "node:crypto"
import { mkdtempSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import * as DemoAgent from "../../src/agent/DemoAgent.ts"
import * as NodeForgeClient from "../../src/node/NodeForgeClient.ts"
import * as ForgeServer from "../../src/server/ForgeServer.ts"
import { Server } from "./Server.ts"

/** Low enough that a case can reach them, high enough that cases do not meet them by chance. */
const bounds = { sessions: 14, appSessions: 5, upload: 200_000, runs: 8, processes: 32 }

const newToken = () => `admin-${randomBytes(32).toString("hex")}`

/** A whole server in this process. */
export const embedded = Layer.unwrap(
  Effect.sync(() => {
    const adminToken = newToken()
    const http = ForgeServer.layerHttpClient({
      adminToken: Redacted.make(adminToken),
      agents: [
        DemoAgent.definition,
        { ...DemoAgent.definition, name: "claude" },
        { name: "broken", command: ["/nonexistent/agent"], permissions: "deny" }
      ],
      maxOpenSessions: bounds.sessions,
      maxAppSessions: bounds.appSessions,
      maxUpload: ByteSize.bytes(bounds.upload),
      maxRuns: bounds.runs,
      maxProcesses: bounds.processes
    })
    const server = Effect.flatMap(HttpClient.HttpClient, (http) =>
      Server.make({ url: "http://embedded", http, adminToken, agent: "demo", has: ["demo", "broken", "small"] })
    )
    return Layer.provide(Layer.effect(Server, server), http)
  })
)

/** Where a process listens, and what of it can be watched from outside. */
export interface Served {
  readonly url: string
  readonly adminToken: string
  readonly pid: number
  /** All that it writes, and the mark of its processes: it is in the environment of each. */
  readonly home: string
  readonly stderr: () => string
}

const flags = [
  "--listen=127.0.0.1:0",
  `--max-live-sessions=${bounds.sessions}`,
  `--max-app-sessions=${bounds.appSessions}`,
  `--max-upload=${bounds.upload}`,
  `--max-runs=${bounds.runs}`,
  `--max-processes=${bounds.processes}`
]

const home = Effect.acquireRelease(
  Effect.sync(() => mkdtempSync(join(tmpdir(), "conformance-"))),
  (path) => Effect.sync(() => rmSync(path, { recursive: true, force: true }))
)

/** `forge serve` as a process of its own, which ends with the scope. */
export const serve = Effect.fnUntraced(function* (
  options: { readonly node?: ReadonlyArray<string>; readonly env?: Readonly<Record<string, string>> } = {}
) {
  const folder = yield* home
  const adminToken = newToken()
  const listening = yield* Deferred.make<string>()
  const ended = yield* Deferred.make<void>()
  let [stdout, stderr] = ["", ""]
  const child = yield* Effect.acquireRelease(
    Effect.sync(() => {
      const args = [...(options.node ?? []), "src/cli/forge.ts", "serve", ...flags]
      const child = spawn(process.execPath, args, {
        detached: true,
        env: {
          PATH: process.env["PATH"],
          HOME: folder,
          TMPDIR: folder,
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
    }),
    (child) =>
      Effect.sync(() => child.kill("SIGTERM")).pipe(
        Effect.andThen(Deferred.await(ended)),
        Effect.timeoutOrElse({ duration: "15 seconds", orElse: () => Effect.sync(() => child.kill("SIGKILL")) })
      )
  )
  const served: Served = {
    url: yield* Deferred.await(listening),
    adminToken,
    pid: child.pid ?? 0,
    home: folder,
    stderr: () => stderr
  }
  return served
})

/** A server of this package's, over a socket. */
export const over = Effect.fnUntraced(function* ({ adminToken, url }: Served) {
  const http = yield* HttpClient.HttpClient
  return yield* Server.make({ url, http, adminToken, agent: "demo", has: ["demo", "small", "socket"] })
})

export const served = Layer.effect(Server, Effect.flatMap(serve(), over)).pipe(
  Layer.provide(NodeForgeClient.layerHttpClient)
)

const settings = Config.all({
  url: Config.String("CLAWDFORGE_URL"),
  appToken: Config.String("CLAWDFORGE_TOKEN").pipe(Config.option),
  adminToken: Config.String("CLAWDFORGE_ADMIN_TOKEN").pipe(Config.option),
  agent: Config.String("CLAWDFORGE_AGENT").pipe(Config.withDefault("demo"))
})

/**
 * Any server, by `CLAWDFORGE_URL`, with `CLAWDFORGE_TOKEN` or `CLAWDFORGE_ADMIN_TOKEN` or both. Its sessions are those of
 * `CLAWDFORGE_AGENT`; only of the demo agent it is known what its turns answer.
 */
export const byUrl = Effect.gen(function* () {
  const http = yield* HttpClient.HttpClient
  const { adminToken, agent, appToken, url } = yield* settings
  return yield* Server.make({
    url: url.replace(/\/$/, ""),
    http,
    agent,
    appToken: Option.getOrUndefined(appToken),
    adminToken: Option.getOrUndefined(adminToken),
    has: [...(url.startsWith("http:") ? ["socket" as const] : []), ...(agent === "demo" ? ["demo" as const] : [])]
  })
})
