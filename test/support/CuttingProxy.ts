/**
 * A proxy that cuts connections: each after so many bytes of what the server sends over it.
 */
import { Effect, type Scope } from "effect"
import { connect } from "node:net"
import { tcp } from "./Connections.ts"

export interface CuttingProxy {
  readonly url: string
  /** How many connections were cut. */
  readonly cuts: () => number
}

/** Stands before the server at an address. `bytesOf` says for each connection how much of the response it lets through. */
export const start = Effect.fnUntraced(function* (
  target: string,
  bytesOf: () => number
): Effect.fn.Return<CuttingProxy, never, Scope.Scope> {
  const { port } = new URL(target)
  let cuts = 0
  const proxy = yield* tcp((client) => {
    const server = connect(Number(port), "127.0.0.1")
    let left = bytesOf()
    const end = () => {
      client.destroy()
      server.destroy()
    }
    client.on("data", (data) => server.write(data))
    client.on("close", end)
    server.on("error", end)
    server.on("close", end)
    server.on("data", (data) => {
      if (data.byteLength < left) {
        left -= data.byteLength
        client.write(data)
        return
      }
      cuts++
      server.pause()
      // What was let through arrives before the connection ends.
      client.write(data.subarray(0, left), () => client.resetAndDestroy())
    })
  })
  return { url: `http://127.0.0.1:${proxy.port}`, cuts: () => cuts }
})
