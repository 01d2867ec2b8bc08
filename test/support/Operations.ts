/**
 * Every call of the client, with a valid answer.
 */
import { Effect, Layer, Redacted } from "effect"
import { Forge, ForgeAdmin, ForgeClient, type ForgeError, type SessionInfo, Upload } from "../../src/index.ts"
import { NodeForgeClient } from "../../src/node/index.ts"
import * as Calls from "./Calls.ts"
import { created, type Script, ScriptedServer, start, turn } from "./ScriptedServer.ts"

/** A server with a script, and a client and an administration for it. */
export const layerClients = (
  script: Script,
  {
    http = NodeForgeClient.layerHttpClient,
    retry
  }: Partial<ForgeClient.Options> & { readonly http?: typeof NodeForgeClient.layerHttpClient } = {}
) =>
  Layer.unwrap(
    Effect.map(ScriptedServer, ({ url }) => {
      const client = ForgeClient.layer({ url, token: Redacted.make("cf_test-token"), retry })
      const admin = ForgeAdmin.layer({ url, token: Redacted.make("admin-token"), retry })
      const calls = Calls.layer({ url, token: Redacted.make("cf_test-token"), retry })
      return Layer.provide(Layer.mergeAll(client, admin, calls), http)
    })
  ).pipe(Layer.provideMerge(Layer.effect(ScriptedServer, start(script))))

type Error = ForgeError.TurnError | ForgeError.CreateError | ForgeError.MintError

/** One call, and what a server of the contract answers it. */
export interface Call {
  readonly call: Effect.Effect<unknown, Error, ForgeClient.ForgeClient | ForgeAdmin.ForgeAdmin | Calls.Calls>
  /** Method and path. */
  readonly request: string
  readonly good: Readonly<Record<string, unknown>>
}

const id = "s-1" as SessionInfo.SessionId

const row = {
  session_id: "s-1",
  app_name: "billing",
  agent: "demo",
  cwd: "/w",
  created_at: 1,
  last_turn_at: null,
  turn_count: 0,
  closed_at: null,
  meta: null,
  model: null
}

export const calls: Readonly<Record<string, Call>> = {
  health: {
    call: Forge.health,
    request: "GET /healthz",
    good: { ok: true, claude_present: true, claude_version: "2.1", features: [] }
  },
  agents: {
    call: Forge.agents,
    request: "GET /agents",
    good: { ok: true, agents: [{ name: "demo", default: true, ready: true, features: {} }] }
  },
  create: { call: Calls.Calls.use((calls) => calls.create()), request: "POST /sessions", good: created(1) },
  list: {
    call: Forge.sessions(),
    request: "GET /sessions?include_closed=true&limit=1000",
    good: { ok: true, sessions: [row], count: 1 }
  },
  state: { call: Forge.attach(id), request: "GET /sessions/s-1", good: { ok: true, ...row, live: true } },
  turn: {
    call: Calls.Calls.use((calls) => calls.turn(id, "hello there")),
    request: "POST /sessions/s-1/turn",
    good: turn("s-1", 1, "hello")
  },
  cancel: {
    call: Calls.Calls.use((calls) => calls.cancel(id)),
    request: "POST /sessions/s-1/cancel",
    good: { ok: true, cancelled: true }
  },
  close: {
    call: Calls.Calls.use((calls) => calls.close(id)),
    request: "DELETE /sessions/s-1",
    good: { ok: true }
  },
  run: {
    call: Forge.run("hello there"),
    request: "POST /run?usage=true",
    good: { ok: true, result: "hello", duration_ms: 1, stop_reason: "end_turn" }
  },
  upload: {
    call: Forge.upload(Upload.fromBytes("a.txt", new Uint8Array([1]))),
    request: "POST /files",
    good: { file_token: "ff_a", ttl_secs: 3600, size: 1 }
  },
  mint: {
    call: ForgeAdmin.ForgeAdmin.use((admin) => admin.mint("billing")),
    request: "POST /admin/tokens",
    good: { name: "billing", token: "cf_minted", ip_cidrs: null }
  },
  tokens: {
    call: ForgeAdmin.ForgeAdmin.use((admin) => admin.list),
    request: "GET /admin/tokens",
    good: { ok: true, tokens: [{ name: "billing", ip_cidrs: ["10.0.0.0/8"], created_at: 1 }] }
  },
  revoke: {
    call: ForgeAdmin.ForgeAdmin.use((admin) => admin.revoke("billing")),
    request: "DELETE /admin/tokens/billing",
    good: { ok: true }
  }
}
