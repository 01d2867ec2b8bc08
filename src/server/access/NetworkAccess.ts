/**
 * The networks that may reach the server, and the host names by which they may call it.
 *
 * The `Host` header is checked against DNS rebinding: a web page can point a name of its own at the visitor's machine, but
 * cannot make the browser send one of the server's names.
 */
import { Effect, Layer, Option } from "effect"
import { HttpRouter, HttpServerRequest, HttpServerResponse } from "effect/http"
import { IncomingMessage } from "node:http"
import { isIP } from "node:net"
import { sentences } from "../../wire/Failures.ts"
import type { NetworkSet } from "./Networks.ts"
import * as NodeNetworks from "./NodeNetworks.ts"

export interface Options {
  /** The address that the server listens on. */
  readonly host: string
  /** Networks (`10.0.0.0/8`, `fd00::/8`) that may reach the server, in addition to loopback. */
  readonly allowedCidrs?: ReadonlyArray<string> | undefined
  /** Host names of the server, in addition to its address and the loopback names. */
  readonly allowedHosts?: ReadonlyArray<string> | undefined
  /** Networks of the proxies whose `X-Forwarded-For` is trusted; none if not given. */
  readonly trustedProxies?: ReadonlyArray<string> | undefined
}

const loopbackCidrs = ["127.0.0.0/8", "::1/128"]
const loopbackHosts = ["localhost", "127.0.0.1", "[::1]"]

const addressNotAllowed = HttpServerResponse.jsonUnsafe({ detail: sentences.addressNotAllowed }, { status: 403 })
const misdirected = HttpServerResponse.jsonUnsafe({ detail: "Misdirected Request" }, { status: 421 })

const repeated = HttpServerResponse.jsonUnsafe(
  { detail: "Host and Authorization must not be sent more than once" },
  { status: 400 }
)

/** Node takes the first of several such headers; a proxy in front of the server may have checked another. */
const single = ["host", "authorization"]

/** Whether a request repeats one of those headers, which only a request over a socket can. */
const hasRepeated = ({ source }: HttpServerRequest.HttpServerRequest) =>
  source instanceof IncomingMessage && single.some((name) => (source.headersDistinct[name]?.length ?? 0) > 1)

/** An address in the form of a `Host` header. */
const literal = (address: string) => (isIP(address) === 6 ? `[${address}]` : address)

/**
 * The local address of the connection, since `0.0.0.0` and `::` are not addresses to call. It needs no protection against
 * rebinding: unlike a name, an address cannot be pointed at another machine.
 */
const reachedAt = ({ source }: HttpServerRequest.HttpServerRequest) => {
  const address = source instanceof IncomingMessage ? source.socket.localAddress : undefined
  return address === undefined ? undefined : literal(address.replace(/^::ffff:(?=\d+\.)/, ""))
}

/**
 * Whether a program on this machine asks by HTTP/1.0, which needs no `Host`, as health checks of proxies do (HAProxy's, for
 * one). No browser does.
 */
const isLocalCheck = ({ headers, peerAddress, source }: HttpServerRequest.HttpServerRequest, local: NetworkSet) =>
  source instanceof IncomingMessage &&
  source.httpVersion === "1.0" &&
  headers["host"] === undefined &&
  Option.exists(peerAddress, local.contains)

/** The host name of a `Host` header, without its port. */
const hostName = (host: string) => host.replace(/:\d+$/, "").toLowerCase()

/**
 * The address of the client. Each proxy appends the address that called it, so the last address that is not a trusted proxy
 * was seen by one. The addresses before it may be forged.
 */
const clientOf = (request: HttpServerRequest.HttpServerRequest, proxies: NetworkSet) => {
  const peer = Option.getOrElse(request.peerAddress, () => "")
  const forwarded = request.headers["x-forwarded-for"]
  if (forwarded === undefined || !proxies.contains(peer)) return peer
  const addresses = forwarded.split(",").map((address) => address.trim())
  return addresses.findLast((address) => !proxies.contains(address)) ?? addresses[0] ?? peer
}

/** Checks a request: returns it with the client's address as its `remoteAddress`, or returns the refusal. */
export const make = Effect.fnUntraced(function* (options: Options) {
  const networks = yield* NodeNetworks.parse([...loopbackCidrs, ...(options.allowedCidrs ?? [])])
  const local = yield* NodeNetworks.parse(loopbackCidrs)
  const proxies = yield* NodeNetworks.parse(options.trustedProxies ?? [])
  const names = new Set(
    [...loopbackHosts, literal(options.host), ...(options.allowedHosts ?? [])].map((name) => name.toLowerCase())
  )

  return (
    request: HttpServerRequest.HttpServerRequest
  ): HttpServerRequest.HttpServerRequest | HttpServerResponse.HttpServerResponse => {
    const address = clientOf(request, proxies)
    if (!networks.contains(address)) return addressNotAllowed
    if (hasRepeated(request)) return repeated
    const name = hostName(request.headers["host"] ?? "")
    if (!names.has(name) && name !== reachedAt(request) && !isLocalCheck(request, local)) return misdirected
    return Option.contains(request.peerAddress, address)
      ? request
      : request.modify({ remoteAddress: Option.some(address), peerAddress: request.peerAddress })
  }
})

/** Checks requests to every path, including those that do not exist. */
export const layer = (options: Options) =>
  Layer.unwrap(
    Effect.map(make(options), (check) =>
      HttpRouter.middleware(
        (httpEffect) =>
          Effect.flatMap(HttpServerRequest.HttpServerRequest, (request) => {
            const checked = check(request)
            return HttpServerResponse.isHttpServerResponse(checked)
              ? Effect.succeed(checked)
              : Effect.provideService(httpEffect, HttpServerRequest.HttpServerRequest, checked)
          }),
        { global: true }
      )
    )
  )
