/**
 * A server of the demo agent on a free port, and apps that send it raw HTTP.
 */
import { Effect, Exit, Layer, Redacted, Schema, Scope } from "effect"
import { readdirSync, readlinkSync } from "node:fs"
import { DatabaseSync } from "node:sqlite"
import * as DemoAgent from "../../src/agent/DemoAgent.ts"
import * as ForgeServer from "../../src/server/ForgeServer.ts"
import * as Http from "../support/Http.ts"
import { eventually } from "../support/Eventually.ts"

export { type Answer, call, type CallOptions } from "../support/Http.ts"

const Opened = Schema.fromJsonString(Schema.Struct({ session_id: Schema.String, cwd: Schema.String }))
const State = Schema.fromJsonString(
  Schema.Struct({ turn_count: Schema.Int, closed_at: Schema.NullOr(Schema.Int), live: Schema.Boolean })
)
const Turn = Schema.fromJsonString(
  Schema.Struct({
    turn_index: Schema.Int,
    stop_reason: Schema.String,
    events: Schema.Array(Schema.Struct({ type: Schema.String, content: Schema.optionalKey(Schema.String) }))
  })
)

/** An app of a server: what it can ask for, with its own token. */
export const appOf = (url: string, token: string) => {
  const request = (method: string, path: string, options: Http.CallOptions = {}) =>
    Http.call(url + path, method, { ...options, headers: { authorization: `Bearer ${token}`, ...options.headers } })
  const state = (id: string) =>
    request("GET", `/sessions/${id}`).pipe(
      Effect.flatMap(({ text }) => Schema.decodeEffect(State)(text)),
      Effect.orDie
    )
  return {
    url,
    token,
    request,
    open: request("POST", "/sessions", { body: { agent: "demo" } }).pipe(
      Effect.flatMap(({ text }) => Schema.decodeEffect(Opened)(text)),
      Effect.map(({ cwd, session_id }) => ({ id: session_id, cwd })),
      Effect.orDie
    ),
    turn: (id: string, prompt: string) => request("POST", `/sessions/${id}/turn`, { body: { prompt } }),
    state,
    /** Waits until so many turns of a session were handed to its agent. */
    turns: (id: string, count: number) =>
      state(id).pipe(eventually(`${count} turns of ${id}`, ({ turn_count }) => turn_count >= count))
  }
}

/** An answer that is read as it comes; its connection is dropped with the scope. */
export const openStream = Effect.fnUntraced(function* (
  app: Pick<App, "url" | "token">,
  path: string,
  options: Http.CallOptions
) {
  const { headers: added, ...more } = options
  return yield* Http.open(app.url + path, "POST", {
    ...more,
    headers: { authorization: `Bearer ${app.token}`, accept: "text/event-stream", ...added }
  })
})

export type App = ReturnType<typeof appOf>

/** What a turn's answer says. */
export const turnOf = (answer: Pick<Http.Answer, "text">) =>
  Schema.decodeEffect(Turn)(answer.text).pipe(
    Effect.map(({ events, stop_reason, turn_index }) => ({
      turnIndex: turn_index,
      stopReason: stop_reason,
      text: events.map(({ content, type }) => (type === "text" ? content : "")).join("")
    })),
    Effect.orDie
  )

export const options = { agents: [DemoAgent.definition], port: 0, grace: "200 millis" } as const

/** A server that ends with the scope, or before. */
export const serve = Effect.fnUntraced(function* (more: Partial<ForgeServer.Options> = {}) {
  const scope = yield* Scope.fork(yield* Effect.scope)
  const context = yield* Layer.buildWithScope(ForgeServer.layer({ ...options, ...more }), scope)
  const server = yield* Effect.provide(ForgeServer.ForgeServer, context)
  const mint = (name: string) =>
    Effect.map(Effect.orDie(server.mint(name)), (token) => appOf(server.url, Redacted.value(token)))
  /** An app that was minted by an earlier server on the same data. */
  const adopt = (token: string) => appOf(server.url, token)
  return { url: server.url, mint, adopt, stop: Scope.close(scope, Exit.void) }
})

/** The processes that work somewhere in a folder. */
export const processesIn = (folder: string) =>
  readdirSync("/proc").filter((pid) => {
    try {
      return readlinkSync(`/proc/${pid}/cwd`).startsWith(folder)
    } catch {
      return false
    }
  })

const Event = Schema.Struct({
  kind: Schema.String,
  turn_index: Schema.NullOr(Schema.Int),
  detail: Schema.NullOr(Schema.String)
})

/** How many calls with a key are under way, as the ledger in a folder has it. */
export const openCallsIn = (folder: string) => {
  const database = new DatabaseSync(`${folder}/ledger.db`, { readOnly: true })
  const rows = database.prepare("SELECT key FROM kept_answers WHERE status IS NULL").all()
  database.close()
  return rows.length
}

/** What the ledger in a folder says of a session, in order. */
export const eventsIn = (folder: string, sessionId: string) => {
  const database = new DatabaseSync(`${folder}/ledger.db`, { readOnly: true })
  const rows = database.prepare("SELECT * FROM session_events WHERE session_id = ? ORDER BY seq").all(sessionId)
  database.close()
  return Schema.decodeUnknownSync(Schema.Array(Event))(rows)
}
