/**
 * The client for Node: undici, whose only clock is the client's own.
 *
 * `fetch` gives up on every answer that takes more than 300 seconds, which is shorter than a turn can be. Where a program
 * has an `HttpClient` of its own, `ForgeClient.layer` takes that.
 *
 * **Example** (A client for the program's whole life)
 *
 * ```ts
 * import { Effect, Redacted } from "effect"
 * import { Forge } from "effect-clawdforge"
 * import { NodeForgeClient } from "effect-clawdforge/node"
 *
 * const layer = NodeForgeClient.layer({
 *   url: "https://forge.example.com/team",
 *   token: Redacted.make("cf_…")
 * })
 *
 * const program = Effect.provide(Forge.sessions({ includeClosed: false }), layer)
 * ```
 */
import * as NodeHttpClient from "@effect/platform-node/NodeHttpClient"
import { buildConnector } from "@effect/platform-node/Undici"
import { type Config, Effect, Layer } from "effect"
import type { HttpClient } from "effect/http"
import { setMaxListeners } from "node:events"
import * as ForgeClient from "../ForgeClient.ts"
import type { ApiError } from "../ForgeError.ts"

/** How long a connection may take to come about, in milliseconds. */
const connectTimeout = 10_000

/**
 * Connects, and marks what fails until then as Node marks a failed `connect`. A TLS handshake that breaks would otherwise
 * look like a connection that broke later, after a request was sent.
 */
const connectorUntil = (signal: AbortSignal): buildConnector.connector => {
  const connector = buildConnector({ timeout: connectTimeout, signal })
  return (options, callback) =>
    connector(options, (...[error, socket]) =>
      error === null ? callback(null, socket) : callback(Object.assign(error, { syscall: "connect" }), null)
    )
}

const makeDispatcher = Effect.gen(function* () {
  // A dispatcher that is destroyed leaves behind the connections that are still coming about.
  const signal = yield* Effect.abortSignal
  // Every open connection listens to it.
  setMaxListeners(0, signal)
  const agent = yield* NodeHttpClient.makeDispatcherOptions({
    connect: connectorUntil(signal),
    // Turns of many sessions run at once, each of them for minutes.
    connections: null
  })
  // Each request comes with an hour for its headers, which would be a clock that nobody can set.
  return agent.compose((dispatch) => (options, handler) => dispatch({ ...options, headersTimeout: 0 }, handler))
})

/** The `HttpClient` of Node as clients of a clawdforge server want it. */
export const layerHttpClient: Layer.Layer<HttpClient.HttpClient> = Layer.provide(
  NodeHttpClient.layerUndiciNoDispatcher,
  Layer.effect(NodeHttpClient.Dispatcher, makeDispatcher)
)

/** A client for a server at an address. */
export const layer = (options: ForgeClient.Options): Layer.Layer<ForgeClient.ForgeClient, ApiError<422>> =>
  Layer.provide(ForgeClient.layer(options), layerHttpClient)

/**
 * A client from the environment: `CLAWDFORGE_URL` (`http://127.0.0.1:8800` where it is not set) and `CLAWDFORGE_TOKEN`.
 */
export const layerConfig: Layer.Layer<ForgeClient.ForgeClient, ApiError<422> | Config.ConfigError> = Layer.provide(
  ForgeClient.layerConfig,
  layerHttpClient
)
