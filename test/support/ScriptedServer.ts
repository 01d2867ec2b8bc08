/**
 * A loopback server that answers by a script, and records its requests.
 */
import { Context, Deferred, Effect, Layer, Redacted, type Scope } from "effect"
import { createServer, type IncomingMessage, type ServerResponse } from "node:http"
import type { AddressInfo, Socket } from "node:net"
import * as ForgeClient from "../../src/ForgeClient.ts"
import * as NodeForgeClient from "../../src/node/NodeForgeClient.ts"

/** A request as it arrived. */
export interface Received {
  readonly method: string
  /** Path and query. */
  readonly path: string
  readonly headers: IncomingMessage["headers"]
  readonly body: string
  /** The body as it came. */
  readonly bytes: Buffer
  /** Done when the client closed its connection before the answer was whole. */
  readonly aborted: Deferred.Deferred<void>
}

/** An answer, or what else can happen to a request. */
export type Answer =
  | {
      readonly status?: number
      readonly headers?: Record<string, string>
      readonly json?: unknown
      readonly text?: string | Uint8Array
      /** Cuts the connection after this much of the body. */
      readonly cut?: boolean
      /** Never ends the body. */
      readonly hang?: boolean
    }
  | "reset"
  | "silence"

/** An answer that is held until it is released. */
export const held = (answer: Answer) => {
  const { promise, resolve } = Promise.withResolvers<Answer>()
  return { promise, release: Effect.sync(() => resolve(answer)) }
}

export type Script = (request: Received, nth: number) => Answer | Promise<Answer>

export class ScriptedServer extends Context.Service<
  ScriptedServer,
  {
    readonly url: string
    readonly received: Array<Received>
    /** Waits for the nth request (from 1). */
    readonly arrival: (nth: number) => Effect.Effect<Received>
  }
>()("test/ScriptedServer") {}

const respond = (response: ServerResponse, answer: Answer): void => {
  if (answer === "silence") return
  if (answer === "reset") {
    response.socket?.resetAndDestroy()
    return
  }
  const body = answer.text ?? (answer.json === undefined ? "" : JSON.stringify(answer.json))
  const type = answer.json === undefined ? "text/plain" : "application/json"
  // An answer that has no body by its status has no length either (RFC 9110, section 8.6).
  const isUnmeasured = answer.hang === true || answer.cut === true || answer.status === 204 || answer.status === 304
  const length = isUnmeasured ? {} : { "content-length": String(Buffer.byteLength(body)) }
  response.writeHead(answer.status ?? 200, { "content-type": type, ...length, ...answer.headers })
  response.write(body, () => {
    if (answer.cut === true) response.socket?.resetAndDestroy()
  })
  if (answer.hang !== true && answer.cut !== true) response.end()
}

/** The requests that a server received, and a way to wait for one of them. */
export const makeLog = () => {
  const received: Array<Received> = []
  const arrivals = new Map<number, Deferred.Deferred<Received>>()
  const arrivalOf = (nth: number) => {
    const known = arrivals.get(nth) ?? Deferred.makeUnsafe<Received>()
    arrivals.set(nth, known)
    return known
  }
  return {
    received,
    arrival: (nth: number) => Deferred.await(arrivalOf(nth)),
    /** Adds a request, and returns its number. */
    add: (one: Received): number => {
      const nth = received.push(one)
      Deferred.doneUnsafe(arrivalOf(nth), Effect.succeed(one))
      return nth
    }
  }
}

/** Starts a server with a script, without a client for it. */
export const start = (script: Script): Effect.Effect<ScriptedServer["Service"], never, Scope.Scope> =>
  Effect.gen(function* () {
    const log = makeLog()
    const sockets = new Set<Socket>()
    // On a busy machine a connection may be idle for longer than the server would keep it.
    const server = createServer({ keepAliveTimeout: 0 }, (request, response) => {
      const chunks: Array<Buffer> = []
      request.on("data", (chunk: Buffer) => chunks.push(chunk))
      request.on("end", () => {
        const bytes = Buffer.concat(chunks)
        const one: Received = {
          method: request.method ?? "",
          path: request.url ?? "",
          headers: request.headers,
          body: bytes.toString("utf8"),
          bytes,
          aborted: Deferred.makeUnsafe<void>()
        }
        response.on("close", () => {
          if (!response.writableFinished) Deferred.doneUnsafe(one.aborted, Effect.void)
        })
        const nth = log.add(one)
        void Promise.resolve(script(one, nth)).then((answer) => respond(response, answer))
      })
    })
    server.on("connection", (socket) => {
      sockets.add(socket)
      socket.on("close", () => sockets.delete(socket))
    })
    yield* Effect.acquireRelease(
      Effect.callback<void>((resume) => {
        server.listen(0, "127.0.0.1", () => resume(Effect.void))
      }),
      () =>
        Effect.callback<void>((resume) => {
          for (const socket of sockets) socket.destroy()
          server.close(() => resume(Effect.void))
        })
    )
    const { port } = server.address() as AddressInfo
    return {
      url: `http://127.0.0.1:${port}`,
      received: log.received,
      arrival: log.arrival
    }
  })

/** A server with a script. */
export const layerServer = (script: Script): Layer.Layer<ScriptedServer> => Layer.effect(ScriptedServer, start(script))

/** A server with a script, and a client for it. */
export const layer = (script: Script, options: Partial<ForgeClient.Options> = {}) =>
  Layer.unwrap(
    Effect.map(ScriptedServer, ({ url }) =>
      NodeForgeClient.layer({ url, token: Redacted.make("cf_test-token"), ...options })
    )
  ).pipe(Layer.provideMerge(layerServer(script)))

/** Answers of a well-behaved server of two endpoints: sessions are `s-1`, `s-2`, …, and a turn echoes its prompt. */
export const wellBehaved = (): Script => {
  let sessions = 0
  const turns = new Map<string, number>()
  return ({ body, method, path }) => {
    if (path === "/healthz")
      return { json: { ok: true, claude_present: true, claude_version: null, features: ["files"] } }
    if (method === "POST" && path === "/sessions")
      return { json: { ...created(++sessions), agent: JSON.parse(body).agent } }
    if (method === "DELETE") return { json: { ok: true } }
    if (path.includes("/files/content")) {
      return method === "PUT" ? { json: { ok: true, size: 1, etag: "1" } } : { json: {} }
    }
    if (path.includes("/files")) return { json: { ok: true, entries: [], truncated: false, unlisted: 0 } }
    if (path.endsWith("/diff")) return { json: { ok: true, diff: "" } }
    const id = /^\/sessions\/([^/]+)\/turn$/.exec(path)?.[1]
    if (method === "POST" && id !== undefined) {
      const index = (turns.get(id) ?? 0) + 1
      turns.set(id, index)
      return { json: turn(id, index, JSON.parse(body).prompt) }
    }
    return { status: 404, json: { detail: "Not Found" } }
  }
}

/** The answer to a create. */
export const created = (nth: number) => ({
  ok: true,
  session_id: `s-${nth}`,
  agent: "claude",
  created_at: 1_700_000_000,
  cwd: "/w/1",
  model: null
})

/** The answer to a turn. */
export const turn = (id: string, index: number, text: string) => ({
  ok: true,
  session_id: id,
  turn_index: index,
  events: [{ type: "text", content: text }],
  stop_reason: "end_turn",
  duration_ms: 12
})
