/**
 * Runs `forge serve` as a separate process, and talks to it.
 */
import { Effect, Layer, Option, Redacted, Stream } from "effect"
import { ChildProcess, ChildProcessSpawner } from "effect/process"
import { fileURLToPath } from "node:url"
import { ForgeAdmin, ForgeClient } from "../../src/index.ts"
import * as NodeForgeAdmin from "../../src/node/NodeForgeAdmin.ts"
import * as NodeForgeClient from "../../src/node/NodeForgeClient.ts"
import * as Calls from "../support/Calls.ts"
import { CheckFailed } from "./Expect.ts"

const program = fileURLToPath(new URL("../../src/cli/forge.ts", import.meta.url))

const adminToken = "an-admin-token-for-the-trial-of-agents"

export interface Options {
  /** The data folder. */
  readonly data: string
  /** The agents table; without it the server finds its agents by its environment. */
  readonly agents?: string | undefined
  /** The complete environment, except for the admin token. */
  readonly env: Readonly<Record<string, string>>
}

export interface ForgeServe {
  readonly url: string
  /** A token of an app. */
  readonly token: Redacted.Redacted
  /** Kills it with SIGKILL. */
  readonly kill: Effect.Effect<void>
}

/** The token of the app; a server that starts again on the same data knows it already. */
const mint = (url: string) =>
  ForgeAdmin.ForgeAdmin.use((admin) => admin.mint("agent-trial")).pipe(
    Effect.map(({ token }) => token),
    Effect.provide(NodeForgeAdmin.layer({ url, token: Redacted.make(adminToken) }))
  )

/** Starts a server, and stops it when the scope closes. */
export const start = Effect.fnUntraced(function* ({ agents, data, env }: Options, token?: Redacted.Redacted) {
  const spawner = yield* ChildProcessSpawner.ChildProcessSpawner
  // Some agents take half a minute to start on a busy machine; a client waits a minute for its session.
  const settings = ["--start-timeout", "50 seconds", "--grace", "1 second"]
  const args = ["serve", "--listen", "127.0.0.1:0", "--data", data, ...settings]
  const server = yield* spawner.spawn(
    ChildProcess.make(process.execPath, [program, ...args, ...(agents === undefined ? [] : ["--agents", agents])], {
      env: { ...env, CLAWDFORGE_ADMIN_TOKEN: adminToken },
      stderr: "ignore",
      forceKillAfter: "20 seconds"
    })
  )
  const line = yield* Stream.runHead(Stream.splitLines(Stream.decodeText(server.stdout)))
  const url = Option.getOrElse(line, () => "").replace("listening ", "")
  if (url === "") return yield* new CheckFailed({ message: "forge serve did not print its address" })
  const serve: ForgeServe = {
    url,
    token: token ?? (yield* mint(url)),
    kill: Effect.ignore(server.kill({ killSignal: "SIGKILL" }))
  }
  return serve
})

/** A client of the server, and its stateless calls. */
export const client = (options: Pick<ForgeServe, "token" | "url">) =>
  Layer.merge(ForgeClient.layer(options), Calls.layer(options)).pipe(Layer.provide(NodeForgeClient.layerHttpClient))
