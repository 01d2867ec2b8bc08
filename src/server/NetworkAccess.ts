/**
 * Which machines may talk to the server, and under which name they may call it.
 *
 * The name is looked at because a web page can make its visitor's browser call a server on the visitor's own machine; it
 * cannot make it call the server by a name that is the server's own.
 */
import { Effect, Layer, Option } from "effect"
import { HttpRouter, HttpServerRequest, HttpServerResponse } from "effect/http"
import { BlockList, isIP } from "node:net"
import { sentences } from "../api/schema/Failures.ts"
import { StartFailed } from "./StartFailed.ts"

export interface Options {
  /** The address that the server listens on. */
  readonly host: string
  /** Networks (`10.0.0.0/8`, `fd00::/8`) that may talk to the server beside this machine itself. */
  readonly allowedCidrs?: ReadonlyArray<string> | undefined
  /** Names by which the server may be called beside its address and those of this machine. */
  readonly allowedHosts?: ReadonlyArray<string> | undefined
}

const loopbackCidrs = ["127.0.0.0/8", "::1/128"]
const loopbackHosts = ["localhost", "127.0.0.1", "[::1]"]

const addressNotAllowed = HttpServerResponse.jsonUnsafe({ detail: sentences.addressNotAllowed }, { status: 403 })
const misdirected = HttpServerResponse.jsonUnsafe({ detail: "Misdirected Request" }, { status: 421 })

const family = (address: string) => (isIP(address) === 6 ? "ipv6" : "ipv4")

const cidrPattern = /^(?<network>[^/]+)\/(?<prefix>\d{1,3})$/

const toBlockList = Effect.fnUntraced(function* (cidrs: ReadonlyArray<string>) {
  const list = new BlockList()
  for (const cidr of cidrs) {
    const { network = "", prefix = "" } = cidrPattern.exec(cidr)?.groups ?? {}
    yield* Effect.try({
      try: () => list.addSubnet(network, Number.parseInt(prefix, 10), family(network)),
      catch: (cause) => new StartFailed({ message: `"${cidr}" is not a network, such as 10.0.0.0/8`, cause })
    })
  }
  return list
})

/** The name in a `Host` header, without its port. */
const hostName = (host: string) => host.replace(/:\d+$/, "").toLowerCase()

export const make = Effect.fnUntraced(function* (options: Options) {
  const networks = yield* toBlockList([...loopbackCidrs, ...(options.allowedCidrs ?? [])])
  const listening = isIP(options.host) === 6 ? `[${options.host}]` : options.host
  const names = new Set(
    [...loopbackHosts, listening, ...(options.allowedHosts ?? [])].map((name) => name.toLowerCase())
  )

  return (request: HttpServerRequest.HttpServerRequest): HttpServerResponse.HttpServerResponse | undefined => {
    const address = Option.getOrElse(request.peerAddress, () => "")
    if (!networks.check(address, family(address))) return addressNotAllowed
    return names.has(hostName(request.headers["host"] ?? "")) ? undefined : misdirected
  }
})

/** Stands before every path, those that are none included. */
export const layer = (options: Options) =>
  Layer.unwrap(
    Effect.map(make(options), (refuse) =>
      HttpRouter.middleware(
        (httpEffect) =>
          Effect.flatMap(HttpServerRequest.HttpServerRequest, (request) => {
            const refusal = refuse(request)
            return refusal === undefined ? httpEffect : Effect.succeed(refusal)
          }),
        { global: true }
      )
    )
  )
