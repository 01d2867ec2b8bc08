/**
 * The socket that the server listens on, with its limits: on incomplete requests, and on clients that do not read their
 * answers.
 */
import * as NodeHttpServer from "@effect/platform-node/NodeHttpServer"
import { Context, Duration, Effect, Latch, Layer, Predicate } from "effect"
import { HttpServer } from "effect/http"
import { randomUUID } from "node:crypto"
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http"
import type { Duplex } from "node:stream"
import { sentences } from "../../wire/Failures.ts"
import * as Paths from "../../wire/Paths.ts"
import { StartFailed } from "../StartFailed.ts"

/** The responses that are being sent. */
export class Answers extends Context.Service<
  Answers,
  {
    /** Waits until there are none. */
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
  /** The largest size of a request's headers in bytes; 16384 if not given. */
  readonly maxHeaderBytes?: number | undefined
  /** How long a client may take to send the headers of a request; 15 seconds if not given. */
  readonly headersTimeout?: Duration.Input | undefined
  /**
   * How long a client may take to send a whole request; 5 minutes if not given. An upload may take longer, as long as its
   * bytes arrive (`maxStall`), and so may the response.
   */
  readonly requestTimeout?: Duration.Input | undefined
  /** How long a connection may stay open without a request; 65 seconds if not given. */
  readonly keepAliveTimeout?: Duration.Input | undefined
  /**
   * How long a client may neither send the rest of its request nor read the response; 60 seconds if not given. A slow client
   * is not cut. One that stops sending is answered with 408, and one that stops reading is noticed after twice this time at
   * the latest.
   */
  readonly maxStall?: Duration.Input | undefined
}

/** The default address. */
export const defaultHost = "127.0.0.1"
const defaultPort = 8800

/** How long connections may take to close when the server stops. */
const closeTimeout = "100 millis"

/** Milliseconds between checks of the connections; less where the headers may take less than twice as long. */
const maxCheckInterval = 5_000

/** Node's code for a request that took too long. */
const requestTimeout = "ERR_HTTP_REQUEST_TIMEOUT"

/** The answers to input that is not a valid request, by Node's error code. It reaches no other part of the server. */
const refusals: Readonly<Record<string, readonly [status: string, detail: string]>> = {
  CONNECT: ["405 Method Not Allowed", sentences.methodNotAllowed],
  EXPECTATION: ["417 Expectation Failed", "only 100-continue can be expected"],
  [requestTimeout]: ["408 Request Timeout", "the request took too long"],
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
 * Whether a refusal would be taken for the response to an earlier, valid request on the same connection that is still
 * being answered.
 */
const isMidway = (unanswered: ReadonlySet<ServerResponse> = new Set()) =>
  [...unanswered].some(({ headersSent, req }) => req.complete || headersSent)

/** Tracks the unanswered requests of each connection. The latch is open while there are none. */
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
  // A pipelined response that waits for an earlier one gets no event when the connection closes.
  server.on("connection", (socket) => socket.on("close", () => forget(socket)))
  return unanswered
}

/** Whether a client has more of its request to send, and the server has read all that came. */
const isAwaited = ({ complete, readableLength }: IncomingMessage) => !complete && readableLength === 0

/**
 * Cuts connections whose client has stopped reading or sending: the response is held in memory, a stream holds back its
 * agent, and an upload holds its place. The socket's timer also sees the progress of one large write.
 */
const cutStalled = (server: Server, maxStall: number) => {
  const note = (request: IncomingMessage, response: ServerResponse) =>
    response.setTimeout(maxStall, () => {
      const { socket } = request
      if (socket.writableLength > 0) socket.destroy()
      else if (isAwaited(request)) {
        if (response.headersSent) socket.destroy()
        else refuse(requestTimeout, socket)
      }
      // Else the client is waiting for the server.
    })
  server.on("request", note)
  server.on("checkContinue", note)
}

/** Whether an upload is arriving on a connection. */
const isUploading = (unanswered: ReadonlySet<ServerResponse> = new Set()) =>
  [...unanswered].some(({ headersSent, req }) => Paths.isUpload(req.url ?? "") && !req.complete && !headersSent)

/** Refuses input that is not a valid request. Node reports a request that takes too long once, and here. */
const refuseInvalid = (server: Server, unanswered: ReadonlyMap<Duplex, ReadonlySet<ServerResponse>>) => {
  server.on("clientError", (error, socket) => {
    const code = "code" in error ? String(error.code) : ""
    const answers = unanswered.get(socket)
    if (code === requestTimeout && isUploading(answers)) {
      // It is bounded by its own silence. Once it is answered, a rest of it is not waited for.
      for (const answer of answers ?? []) answer.on("finish", () => socket.end())
    } else if (isMidway(answers)) socket.destroy()
    else refuse(code, socket)
  })
  server.on("checkExpectation", ({ socket }) => refuse("EXPECTATION", socket))
  server.on("connect", (_request, socket) => refuse("CONNECT", socket))
}

const makeServer = (options: Options, allSent: Latch.Latch) => {
  const millis = (given: Duration.Input | undefined, otherwise: Duration.Input) =>
    Duration.toMillis(Duration.fromInputUnsafe(given ?? otherwise))
  const wholeTimeout = millis(options.requestTimeout, "5 minutes")
  const headersTimeout = Math.min(millis(options.headersTimeout, "15 seconds"), wholeTimeout)
  const server = createServer({
    headersTimeout,
    requestTimeout: wholeTimeout,
    keepAliveTimeout: millis(options.keepAliveTimeout, "65 seconds"),
    connectionsCheckingInterval: Math.min(maxCheckInterval, Math.ceil(headersTimeout / 2)),
    maxHeaderSize: options.maxHeaderBytes ?? 16_384,
    // A request without a Host header gets the same answer as one with a wrong Host.
    requireHostHeader: false,
    // There is no other protocol, so offers to upgrade are ignored.
    shouldUpgradeCallback: () => false
  })
  server.maxConnections = options.maxConnections ?? 1_024
  cutStalled(server, millis(options.maxStall, "60 seconds"))
  refuseInvalid(server, watchAnswers(server, allSent))
  return server
}

const isPort = (port: number) => Number.isInteger(port) && port >= 0 && port <= 65_535

const listenFailures: Readonly<Record<string, string>> = {
  EACCES: "this user may not use the port",
  EADDRINUSE: "the port is taken",
  EADDRNOTAVAIL: "this machine does not have the address",
  ENOTFOUND: "there is no such host"
}

/** The reason for which the server cannot listen. */
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
  // A connection that stays open after the server has stopped would keep the program running.
  const listener = yield* Effect.acquireRelease(
    Effect.sync(() => makeServer(options, allSent)),
    (listener) => Effect.sync(() => listener.closeAllConnections())
  )
  const server = yield* NodeHttpServer.make(() => listener, {
    host,
    port,
    gracefulShutdownTimeout: closeTimeout
  }).pipe(
    Effect.mapError(
      ({ cause }) => new StartFailed({ message: `cannot listen on ${host}:${port}: ${listenFailure(cause)}`, cause })
    )
  )
  return Context.make(HttpServer.HttpServer, server).pipe(Context.add(Answers, { allSent: allSent.await }))
})

export const layer = (options: Options) => Layer.effectContext(make(options))
