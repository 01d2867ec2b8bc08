/**
 * A proxy on loopback: it tunnels by CONNECT and forwards plain requests, and resolves every name to loopback.
 */
import { Effect, type Scope } from "effect"
import { createServer, request as send } from "node:http"
import { createServer as createTlsServer } from "node:https"
import { type AddressInfo, connect, type Socket } from "node:net"
import * as Certificate from "./Certificate.ts"

/** How a proxy treats a request: lets it through, refuses it by a status, never answers, or cuts the connection. */
export type Treatment = "pass" | number | "silence" | "cut"

export interface Proxy {
  readonly port: number
  /** The requests that it received, as `CONNECT host:port` or `GET http://…`. */
  readonly received: ReadonlyArray<string>
  /** The values of `Proxy-Authorization`. */
  readonly credentials: ReadonlyArray<string | undefined>
  /** How many connections there ever were. */
  readonly connections: () => number
}

export const make = ({
  secure = false,
  treatment = "pass"
}: { secure?: boolean; treatment?: Treatment } = {}): Effect.Effect<Proxy, never, Scope.Scope> =>
  Effect.gen(function* () {
    const received: Array<string> = []
    const credentials: Array<string | undefined> = []
    const sockets = new Set<Socket>()
    let connections = 0
    const server = secure ? createTlsServer(Certificate) : createServer({ keepAliveTimeout: 0 })
    server.on("connection", (socket: Socket) => {
      connections++
      sockets.add(socket)
      socket.on("error", () => {})
      socket.on("close", () => sockets.delete(socket))
    })
    server.on("connect", (request, client: Socket) => {
      received.push(`CONNECT ${request.url ?? ""}`)
      credentials.push(request.headers["proxy-authorization"])
      if (treatment === "silence") return
      if (treatment === "cut") return client.destroy()
      if (treatment !== "pass") return client.end(`HTTP/1.1 ${treatment} No\r\nContent-Length: 0\r\n\r\n`)
      const target = connect(Number(request.url?.split(":").at(-1)), "127.0.0.1", () => {
        client.write("HTTP/1.1 200 Connection established\r\n\r\n")
        client.pipe(target)
        target.pipe(client)
      })
      sockets.add(target)
      target.on("error", () => client.destroy())
    })
    server.on("request", (request, response) => {
      received.push(`${request.method} ${request.url ?? ""}`)
      credentials.push(request.headers["proxy-authorization"])
      if (treatment === "silence") return
      if (treatment === "cut") return request.socket.destroy()
      if (treatment !== "pass") return response.writeHead(treatment).end("<title>no</title>")
      const { pathname, port, search } = new URL(request.url ?? "")
      const { "proxy-authorization": _, ...headers } = request.headers
      const options = { host: "127.0.0.1", port, path: pathname + search, method: request.method, headers }
      request.pipe(
        send(options, (answer) => {
          response.writeHead(answer.statusCode ?? 0, answer.headers)
          answer.pipe(response)
        })
      )
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
    return { port, received, credentials, connections: () => connections }
  })
