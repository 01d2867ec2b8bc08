/**
 * A loopback server of bare connections, for failures before or below HTTP.
 */
import { Effect, Latch, type Scope } from "effect"
import { type AddressInfo, createServer, type Server, type Socket } from "node:net"
import { createServer as createTlsServer } from "node:tls"
import * as Certificate from "./Certificate.ts"

export interface Connections {
  readonly port: number
  /** How many connections there ever were. */
  readonly connections: () => number
  /** Waits for a connection. */
  readonly connected: Effect.Effect<void>
  /** Waits until no connection is open. */
  readonly quiet: Effect.Effect<void>
  /** What arrived over all connections. */
  readonly received: () => string
}

const listen = (make: () => Server): Effect.Effect<Connections, never, Scope.Scope> =>
  Effect.gen(function* () {
    const server = make()
    const open = new Set<Socket>()
    const connected = Latch.makeUnsafe(false)
    const quiet = Latch.makeUnsafe(true)
    let connections = 0
    let received = ""
    server.on("connection", (socket: Socket) => {
      connections++
      open.add(socket)
      connected.openUnsafe()
      quiet.closeUnsafe()
      socket.on("error", () => {})
      socket.on("data", (data) => {
        received += data.toString("latin1")
      })
      socket.on("close", () => {
        open.delete(socket)
        if (open.size === 0) quiet.openUnsafe()
      })
    })
    server.on("tlsClientError", () => {})
    yield* Effect.acquireRelease(
      Effect.callback<void>((resume) => {
        server.listen(0, "127.0.0.1", () => resume(Effect.void))
      }),
      () =>
        Effect.callback<void>((resume) => {
          for (const socket of open) socket.destroy()
          server.close(() => resume(Effect.void))
        })
    )
    const { port } = server.address() as AddressInfo
    return {
      port,
      connections: () => connections,
      connected: connected.await,
      quiet: quiet.await,
      received: () => received
    }
  })

/** A server with a handler for every connection. */
export const tcp = (onConnection: (socket: Socket) => void) => listen(() => createServer(onConnection))

/** A server that speaks TLS, with an untrusted certificate. */
export const tls = listen(() => createTlsServer(Certificate))

/** A port where no server listens any more. */
export const abandonedPort = Effect.scoped(
  Effect.map(
    tcp(() => {}),
    ({ port }) => port
  )
)
