/**
 * How requests leave Node: over connections of undici, direct or through a proxy, whose only time limits are the client's own.
 */
import * as NodeHttpClient from "@effect/platform-node/NodeHttpClient"
import { buildConnector, type Dispatcher, errors, Pool, ProxyAgent } from "@effect/platform-node/Undici"
import { Effect } from "effect"
import { HttpClient } from "effect/http"
import { setMaxListeners } from "node:events"
import type { Proxies } from "./Proxy.ts"

/** How long connecting may take, in milliseconds; through a proxy each of its steps. */
const connectTimeout = 10_000

/** Turns of many sessions run at once, each of them for minutes. */
const connections = null

/**
 * Connects, and marks every failure on the way as Node marks a failed `connect`. A broken TLS handshake would otherwise look
 * like a connection that broke later, after a request was sent.
 */
const marking =
  (connector: buildConnector.connector, details: (error: Error) => object = () => ({})): buildConnector.connector =>
  (options, callback) =>
    connector(options, (...[error, socket]) =>
      error === null
        ? callback(null, socket)
        : callback(Object.assign(error, { syscall: "connect", ...details(error) }), null)
    )

/** The status by which a proxy refused a request; undici only says it in words. */
const refusedWith = ({ message }: Error): number | undefined => {
  const status = /^Proxy (?:response|Authentication Required) \((\d{3})\)/.exec(message)?.[1]
  return status === undefined ? undefined : Number(status)
}

/** Connects through a proxy. Its errors name it, without its credentials. */
const throughProxy = (
  proxy: URL,
  connector: buildConnector.connector,
  signal: AbortSignal
): buildConnector.connector => {
  const named = marking(connector, (error) => ({ proxy: proxy.origin, proxyStatus: refusedWith(error) }))
  return (options, callback) => {
    // undici waits for the answer to `CONNECT` for as long as this signal lets it.
    const late = AbortSignal.timeout(connectTimeout)
    named(Object.assign({}, options, { signal: AbortSignal.any([signal, late]) }), (...[error, socket]) => {
      if (error === null) callback(null, socket)
      else if (late.aborted) callback(Object.assign(new errors.ConnectTimeoutError(), { proxy: proxy.origin }), null)
      else callback(error, null)
    })
  }
}

/** The connections through one proxy. */
const makeProxyAgent = (proxy: URL, signal: AbortSignal) =>
  Effect.acquireRelease(
    Effect.sync(
      () =>
        new ProxyAgent({
          uri: proxy.href,
          connections,
          connectTimeout,
          proxyTls: { timeout: connectTimeout, signal },
          factory: (origin, { connect, ...options }: Pool.Options) =>
            new Pool(origin, {
              ...options,
              ...(typeof connect === "function" ? { connect: throughProxy(proxy, connect, signal) } : {})
            })
        })
    ),
    (agent) => Effect.promise(() => agent.destroy())
  )

/** Requests go through a proxy where there is one for their origin. */
const makeDispatcher = Effect.fnUntraced(function* (proxies: Proxies) {
  // Destroying a dispatcher leaves connections behind that are still being made.
  const signal = yield* Effect.abortSignal
  // Every open connection listens to it.
  setMaxListeners(0, signal)
  const direct = yield* NodeHttpClient.makeDispatcherOptions({
    connect: marking(buildConnector({ timeout: connectTimeout, signal })),
    connections
  })
  const agents = new Map<string, Dispatcher>()
  for (const proxy of proxies.all) agents.set(proxy.href, yield* makeProxyAgent(proxy, signal))
  return direct.compose((dispatch) => ({ origin = "", ...options }, handler) => {
    const agent = agents.get(proxies.of(new URL(origin))?.href ?? "")
    // Effect sets an hour for the headers of each request, which no option of ours could change.
    const unlimited = { origin, ...options, headersTimeout: 0 }
    return agent === undefined ? dispatch(unlimited, handler) : agent.dispatch(unlimited, handler)
  })
})

/** An `HttpClient` over undici. */
export const makeHttpClient = Effect.fnUntraced(function* (proxies: Proxies) {
  const dispatcher = yield* makeDispatcher(proxies)
  const client = yield* Effect.provideService(NodeHttpClient.makeUndici, NodeHttpClient.Dispatcher, dispatcher)
  // A proxy that forwards refuses a request itself, which was then not sent on.
  return HttpClient.tapError(client, ({ reason, request }) =>
    Effect.sync(() => {
      const { cause } = reason
      const proxy = proxies.of(new URL(request.url))
      if (proxy === undefined || !(cause instanceof errors.InvalidArgumentError)) return
      const proxyStatus = refusedWith(cause)
      if (proxyStatus !== undefined) Object.assign(cause, { syscall: "connect", proxy: proxy.origin, proxyStatus })
    })
  )
})
