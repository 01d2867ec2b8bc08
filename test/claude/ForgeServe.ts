/**
 * Runs `forge serve` as a separate process, which finds Claude by its environment alone.
 */
import { Effect, Layer, Option, Redacted, Stream } from "effect"
import { ChildProcess, ChildProcessSpawner } from "effect/process"
import { fileURLToPath } from "node:url"
import { ForgeAdmin, ForgeClient } from "../../src/index.ts"
import * as NodeForgeAdmin from "../../src/node/NodeForgeAdmin.ts"
import * as NodeForgeClient from "../../src/node/NodeForgeClient.ts"
import * as Calls from "../support/Calls.ts"
import { CheckFailed } from "./Claude.ts"

const program = fileURLToPath(new URL("../../src/cli/forge.ts", import.meta.url))

const adminToken = "an-admin-token-for-the-checks-of-claude"

export interface Options {
  /** The data folder. */
  readonly data: string
  /** The complete environment, except for the admin token. */
  readonly env: Readonly<Record<string, string>>
}

export interface ForgeServe {
  readonly url: string
  /** Kills it with SIGKILL. */
  readonly kill: Effect.Effect<void>
}

/** Starts a server, and stops it when the scope closes. */
export const start = Effect.fnUntraced(function* ({ data, env }: Options) {
  const spawner = yield* ChildProcessSpawner.ChildProcessSpawner
  const server = yield* spawner.spawn(
    ChildProcess.make(process.execPath, [program, "serve", "--listen", "127.0.0.1:0", "--data", data], {
      env: { ...env, CLAWDFORGE_ADMIN_TOKEN: adminToken },
      stderr: "ignore",
      forceKillAfter: "5 seconds"
    })
  )
  const line = yield* Stream.runHead(Stream.splitLines(Stream.decodeText(server.stdout)))
  const url = Option.getOrElse(line, () => "").replace("listening ", "")
  if (url === "") return yield* new CheckFailed({ message: "forge serve did not print its address" })
  const serve: ForgeServe = { url, kill: Effect.ignore(server.kill({ killSignal: "SIGKILL" })) }
  return serve
})

/** Mints a token for an app. */
export const mint = ({ url }: ForgeServe) =>
  ForgeAdmin.ForgeAdmin.use((admin) => admin.mint("claude-checks")).pipe(
    Effect.map(({ token }) => token),
    Effect.provide(NodeForgeAdmin.layer({ url, token: Redacted.make(adminToken) }))
  )

/** A client of the server, and its stateless calls. */
export const client = ({ url }: ForgeServe, token: Redacted.Redacted) =>
  Layer.merge(ForgeClient.layer({ url, token }), Calls.layer({ url, token })).pipe(
    Layer.provide(NodeForgeClient.layerHttpClient)
  )
