/**
 * The socket that the server listens on, and the limits on its clients: on what they send until it is a request, and on
 * how long they let an answer wait.
 */
import * as NodeHttpServer from "@effect/platform-node/NodeHttpServer"
import { Context, Duration, Effect, Latch, Layer, Predicate } from "effect"
import { HttpServer } from "effect/http"
import { randomUUID } from "node:crypto"
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http"
import type { Duplex } from "node:stream"
import { sentences } from "../../wire/Failures.ts"
import { StartFailed } from "../StartFailed.ts"

/** The answers that are on their way to their clients. */
export class Answers extends Context.Service<
  Answers,
  {
    /** Waits until none is. */
    readonly allSent: Effect.Effect<void>
  }
>()("effect-clawdforge/server/http/Listener/Answers") {}

export interface Options {
  /** The address to listen on; 127.0.0.1 if not given. */
  readonly host?: string | undefined
  /** The port to listen on; 8800 if not given, and 0 takes a free one. */
  readonly port?: number | undefined
  /** How many connections may be open at once; 1024 if not given. */
  readonly maxConnections?: number | undefined
  /** How many bytes the headers of a request may have; 16384 if not given. */
  readonly maxHeaderBytes?: number | undefined
  /** How long a client may take for the headers of a request; 15 seconds if not given. */
  readonly headersTimeout?: Duration.Input | undefined
  /** How long a client may take for a whole request, its body included; 5 minutes if not given. An answer may take longer. */
  readonly requestTimeout?: Duration.Input | undefined
  /** How long a connection may stay open without a request; 65 seconds if not given. */
  readonly keepAliveTimeout?: Duration.Input | undefined
  /**
   * How long a client may leave an answer unread before its connection is cut; 60 seconds if not given. One that reads
   * slowly is not cut, and one that stops is noticed after twice as long at the latest.
   */
  readonly maxStall?: Duration.Input | undefined
}

/** Where a server listens if nothing else is said. */
export const defaultHost = "127.0.0.1"
const defaultPort = 8800

/** How long connections may take to close when the server has ended. */
const lastBytes = "100 millis"

/** Connections are looked at this often at least, and at least twice within the time that headers may take. */
const longestCheck = 5_000

/** The answers to what is not a request, by Node's code for it; it reaches no other part of the server. */
const refusals: Readonly<Record<string, readonly [status: string, detail: string]>> = {
  CONNECT: ["405 Method Not Allowed", sentences.methodNotAllowed],
  EXPECTATION: ["417 Expectation Failed", "only 100-continue can be expected"],
  ERR_HTTP_REQUEST_TIMEOUT: ["408 Request Timeout", "the request took too long"],
  HPE_HEADER_OVERFLOW: ["431 Request Header Fields Too Large", "the headers are too large"]
}

const refuse = (code: string, socket: Duplex) => {
  if (!socket.writable) return socket.destroy()
  const [status, detail] = refusals[code] ?? ["400 Bad Request", "this is not an HTTP request"]
  const body = JSON.stringify({ detail })
  const head = [
    `HTTP/1.1 ${status}`,
    "content-type: application/json",
    `content-length: ${Buffer.byteLength(body)}`,
    `x-request-id: ${randomUUID()}`,
    "connection: close"
  ]
  return socket.end(`${head.join("\r\n")}\r\n\r\n${body}`, () => socket.destroy())
}

/**
 * Whether a refusal would be read as the answer to a request that was fine: one that came before on the same connection
 * and is still being answered.
 */
const isMidway = (unanswered: ReadonlySet<ServerResponse> = new Set()) =>
  [...unanswered].some(({ headersSent, req }) => req.complete || headersSent)

/** The requests of each connection that are not answered yet; the latch is open while there are none. */
const watchAnswers = (server: Server, allSent: Latch.Latch) => {
  const unanswered = new Map<Duplex, Set<ServerResponse>>()
  const forget = (socket: Duplex) => {
    unanswered.delete(socket)
    if (unanswered.size === 0) allSent.openUnsafe()
  }
  const note = ({ socket }: IncomingMessage, response: ServerResponse) => {
    const ofSocket = unanswered.get(socket) ?? new Set()
    unanswered.set(socket, ofSocket.add(response))
    allSent.closeUnsafe()
    response.on("close", () => {
      ofSocket.delete(response)
      if (ofSocket.size === 0) forget(socket)
    })
  }
  server.on("request", note)
  server.on("checkContinue", note)
  // An answer that waits for another one on its connection does not hear that this has closed.
  server.on("connection", (socket) => socket.on("close", () => forget(socket)))
  return unanswered
}

/**
 * Cuts a connection on which an answer waits that nobody reads: it is held in memory, and a stream holds back its agent.
 * The socket's own timer knows what the system has taken of a large write that is not done yet.
 */
const cutStalled = (server: Server, maxStall: number) => {
  const note = ({ socket }: IncomingMessage, response: ServerResponse) =>
    response.setTimeout(maxStall, () => {
      // Otherwise it is the client that waits.
      if (socket.writableLength > 0) socket.destroy()
    })
  server.on("request", note)
  server.on("checkContinue", note)
}

/** Refuses what is not a request. */
const refuseOthers = (server: Server, unanswered: ReadonlyMap<Duplex, ReadonlySet<ServerResponse>>) => {
  server.on("clientError", (error, socket) => {
    if (isMidway(unanswered.get(socket))) socket.destroy()
    else refuse("code" in error ? String(error.code) : "", socket)
  })
  server.on("checkExpectation", ({ socket }) => refuse("EXPECTATION", socket))
  server.on("connect", (_request, socket) => refuse("CONNECT", socket))
}

const makeServer = (options: Options, allSent: Latch.Latch) => {
  const millis = (given: Duration.Input | undefined, otherwise: Duration.Input) =>
    Duration.toMillis(Duration.fromInputUnsafe(given ?? otherwise))
  const requestTimeout = millis(options.requestTimeout, "5 minutes")
  const headersTimeout = Math.min(millis(options.headersTimeout, "15 seconds"), requestTimeout)
  const server = createServer({
    headersTimeout,
    requestTimeout,
    keepAliveTimeout: millis(options.keepAliveTimeout, "65 seconds"),
    connectionsCheckingInterval: Math.min(longestCheck, Math.ceil(headersTimeout / 2)),
    maxHeaderSize: options.maxHeaderBytes ?? 16_384,
    // A request without a Host gets the same answer as one with a name that is not the server's.
    requireHostHeader: false,
    // Nothing here speaks another protocol, so an offer to change to one is ignored.
    shouldUpgradeCallback: () => false
  })
  server.maxConnections = options.maxConnections ?? 1_024
  cutStalled(server, millis(options.maxStall, "60 seconds"))
  refuseOthers(server, watchAnswers(server, allSent))
  return server
}

const isPort = (port: number) => Number.isInteger(port) && port >= 0 && port <= 65_535

const listenFailures: Readonly<Record<string, string>> = {
  EACCES: "this user may not use the port",
  EADDRINUSE: "the port is taken",
  EADDRNOTAVAIL: "this machine does not have the address",
  ENOTFOUND: "there is no such host"
}

/** Why a port cannot be listened on. */
const listenFailure = (cause: unknown) => {
  const known = Predicate.hasProperty(cause, "code") ? listenFailures[String(cause.code)] : undefined
  return known ?? (Predicate.isError(cause) ? cause.message : String(cause))
}

export const make = Effect.fnUntraced(function* (options: Options) {
  const { host = defaultHost, port = defaultPort } = options
  if (!isPort(port)) {
    return yield* new StartFailed({
      message: `cannot listen on port ${port}: a port is a whole number from 0 to 65535`
    })
  }
  const allSent = yield* Latch.make(true)
  // A connection that is open when the server has ended would keep the program running until its client closes it.
  const listener = yield* Effect.acquireRelease(
    Effect.sync(() => makeServer(options, allSent)),
    (listener) => Effect.sync(() => listener.closeAllConnections())
  )
  const server = yield* NodeHttpServer.make(() => listener, {
    host,
    port,
    gracefulShutdownTimeout: lastBytes
  }).pipe(
    Effect.mapError(
      ({ cause }) => new StartFailed({ message: `cannot listen on ${host}:${port}: ${listenFailure(cause)}`, cause })
    )
  )
  return Context.make(HttpServer.HttpServer, server).pipe(Context.add(Answers, { allSent: allSent.await }))
})

export const layer = (options: Options) => Layer.effectContext(make(options))
