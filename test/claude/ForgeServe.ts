/**
 * `forge serve` as a process of its own, with nothing but its environment to tell it of Claude.
 */
import { Effect, Layer, Option, Redacted, Stream } from "effect"
import { ChildProcess, ChildProcessSpawner } from "effect/process"
import { fileURLToPath } from "node:url"
import { ForgeAdmin, ForgeClient } from "../../src/index.ts"
import * as NodeForgeAdmin from "../../src/node/NodeForgeAdmin.ts"
import * as NodeForgeClient from "../../src/node/NodeForgeClient.ts"
import * as Calls from "../support/Calls.ts"
import { Otherwise } from "./Claude.ts"

const program = fileURLToPath(new URL("../../src/cli/forge.ts", import.meta.url))

const adminToken = "an-admin-token-for-the-checks-of-claude"

export interface Options {
  /** Where it keeps everything. */
  readonly data: string
  /** Its whole environment, but for the admin token. */
  readonly env: Readonly<Record<string, string>>
}

export interface ForgeServe {
  readonly url: string
  /** Ends it without a word. */
  readonly kill: Effect.Effect<void>
}

/** Starts a server; it ends with the scope. */
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
  if (url === "") return yield* new Otherwise({ message: "forge serve did not say where it listens" })
  const serve: ForgeServe = { url, kill: Effect.ignore(server.kill({ killSignal: "SIGKILL" })) }
  return serve
})

/** A token for an app of it. */
export const mint = ({ url }: ForgeServe) =>
  ForgeAdmin.ForgeAdmin.use((admin) => admin.mint("claude-checks")).pipe(
    Effect.map(({ token }) => token),
    Effect.provide(NodeForgeAdmin.layer({ url, token: Redacted.make(adminToken) }))
  )

/** Our client of it, and its stateless calls. */
export const client = ({ url }: ForgeServe, token: Redacted.Redacted) =>
  Layer.merge(ForgeClient.layer({ url, token }), Calls.layer({ url, token })).pipe(
    Layer.provide(NodeForgeClient.layerHttpClient)
  )
