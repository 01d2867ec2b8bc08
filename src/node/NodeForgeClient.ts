/**
 * The client for Node, over undici, whose only time limits are the client's own.
 *
 * `fetch` gives up on every response that takes more than 300 seconds, and a turn can take longer. A program with its own
 * `HttpClient` passes that to `ForgeClient.layer`.
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

/** How long connecting may take, in milliseconds. */
const connectTimeout = 10_000

/**
 * Connects, and marks every failure on the way as Node marks a failed `connect`. A broken TLS handshake would otherwise look
 * like a connection that broke later, after a request was sent.
 */
const connectorUntil = (signal: AbortSignal): buildConnector.connector => {
  const connector = buildConnector({ timeout: connectTimeout, signal })
  return (options, callback) =>
    connector(options, (...[error, socket]) =>
      error === null ? callback(null, socket) : callback(Object.assign(error, { syscall: "connect" }), null)
    )
}

const makeDispatcher = Effect.gen(function* () {
  // Destroying the dispatcher leaves connections behind that are still being made.
  const signal = yield* Effect.abortSignal
  // Every open connection listens to it.
  setMaxListeners(0, signal)
  const agent = yield* NodeHttpClient.makeDispatcherOptions({
    connect: connectorUntil(signal),
    // Turns of many sessions run at once, each of them for minutes.
    connections: null
  })
  // Effect sets an hour for the headers of each request, which no option of ours could change.
  return agent.compose((dispatch) => (options, handler) => dispatch({ ...options, headersTimeout: 0 }, handler))
})

/** An `HttpClient` for Node without time limits of its own, as a client of a clawdforge server needs it. */
export const layerHttpClient: Layer.Layer<HttpClient.HttpClient> = Layer.provide(
  NodeHttpClient.layerUndiciNoDispatcher,
  Layer.effect(NodeHttpClient.Dispatcher, makeDispatcher)
)

/** A client for a server at an address. */
export const layer = (options: ForgeClient.Options): Layer.Layer<ForgeClient.ForgeClient, ApiError<422>> =>
  Layer.provide(ForgeClient.layer(options), layerHttpClient)

/** A client from configuration: by default from `CLAWDFORGE_URL` and `CLAWDFORGE_TOKEN`. */
export const layerConfig = (
  options?: ForgeClient.ConfigOptions
): Layer.Layer<ForgeClient.ForgeClient, ApiError<422> | Config.ConfigError> =>
  Layer.provide(ForgeClient.layerConfig(options), layerHttpClient)
