/**
 * Which machines may talk to the server, and under which name they may call it.
 *
 * The name is looked at because a web page can make its visitor's browser call a server on the visitor's own machine; it
 * cannot make it call the server by a name that is the server's own.
 */
import { Effect, Layer, Option } from "effect"
import { HttpRouter, HttpServerRequest, HttpServerResponse } from "effect/http"
import { IncomingMessage } from "node:http"
import { isIP } from "node:net"
import { sentences } from "../../wire/Failures.ts"
import * as Networks from "./Networks.ts"

export interface Options {
  /** The address that the server listens on. */
  readonly host: string
  /** Networks (`10.0.0.0/8`, `fd00::/8`) that may talk to the server beside this machine itself. */
  readonly allowedCidrs?: ReadonlyArray<string> | undefined
  /** Names by which the server may be called beside its address and those of this machine. */
  readonly allowedHosts?: ReadonlyArray<string> | undefined
  /** Networks of the proxies whose `X-Forwarded-For` is believed; none if not given. */
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

/** Of several such lines Node takes the first, and a proxy in front of the server may go by another. */
const single = ["host", "authorization"]

/** Whether a request has one of those headers more than once; only one that came over a socket can. */
const hasRepeated = ({ source }: HttpServerRequest.HttpServerRequest) =>
  source instanceof IncomingMessage && single.some((name) => (source.headersDistinct[name]?.length ?? 0) > 1)

/** An address as a `Host` header has it. */
const literal = (address: string) => (isIP(address) === 6 ? `[${address}]` : address)

/**
 * The address that a client has reached the server at, which `0.0.0.0` and `::` do not say. A web page cannot have it
 * stand for another machine, as it can with a name.
 */
const reachedAt = ({ source }: HttpServerRequest.HttpServerRequest) => {
  const address = source instanceof IncomingMessage ? source.socket.localAddress : undefined
  return address === undefined ? undefined : literal(address.replace(/^::ffff:(?=\d+\.)/, ""))
}

/** The name in a `Host` header, without its port. */
const hostName = (host: string) => host.replace(/:\d+$/, "").toLowerCase()

/**
 * The address of the client. Each proxy appends the address that called it, so the last one that is not a proxy of ours
 * was seen by one of ours; those before it anybody may have written.
 */
const clientOf = (request: HttpServerRequest.HttpServerRequest, proxies: Networks.Networks) => {
  const peer = Option.getOrElse(request.peerAddress, () => "")
  const forwarded = request.headers["x-forwarded-for"]
  if (forwarded === undefined || !proxies.contains(peer)) return peer
  const addresses = forwarded.split(",").map((address) => address.trim())
  return addresses.findLast((address) => !proxies.contains(address)) ?? addresses[0] ?? peer
}

/** Lets a request through, with the address of its client as its `remoteAddress`, or answers it. */
export const make = Effect.fnUntraced(function* (options: Options) {
  const networks = yield* Networks.make([...loopbackCidrs, ...(options.allowedCidrs ?? [])])
  const proxies = yield* Networks.make(options.trustedProxies ?? [])
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
    if (!names.has(name) && name !== reachedAt(request)) return misdirected
    return Option.contains(request.peerAddress, address)
      ? request
      : request.modify({ remoteAddress: Option.some(address), peerAddress: request.peerAddress })
  }
})

/** Stands before every path, including those that do not exist. */
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
