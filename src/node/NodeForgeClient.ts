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
import { type Config, Effect, Layer } from "effect"
import { HttpClient } from "effect/http"
import * as ForgeClient from "../ForgeClient.ts"
import type { ApiError } from "../ForgeError.ts"
import * as Dispatcher from "./Dispatcher.ts"
import * as Proxy from "./Proxy.ts"

/** What a client for Node can be built with besides. */
export interface NodeOptions {
  /**
   * The proxy between this program and the server: its URL (`Redacted`, where that holds a password), `"env"` for that of the
   * environment, or `false` for none. By default that of the environment if Node was asked to use it, by
   * `NODE_USE_ENV_PROXY=1` or `--use-env-proxy`, and none otherwise.
   *
   * In the environment, `HTTP_PROXY` is for http servers and `HTTPS_PROXY` for https ones; `NO_PROXY` lists the hosts that
   * are reached directly, with all names below them, and with a port or without. The names in lower case come first. This
   * machine (`localhost`, `127.0.0.0/8`, `::1`) is always reached directly. A proxy that is given as a URL is used for every
   * server.
   *
   * A proxy that cannot be reached, or refuses the connection, is a `TransportError` with reason `Connect`.
   */
  readonly proxy?: Proxy.ProxyOption | undefined
}

/** How a client for Node is built. */
export interface Options extends ForgeClient.Options, NodeOptions {}

/** How a client for Node is built from configuration. */
export interface ConfigOptions extends ForgeClient.ConfigOptions, NodeOptions {}

const makeHttpClient = (options: NodeOptions) =>
  Layer.effect(HttpClient.HttpClient, Effect.flatMap(Proxy.make(options.proxy), Dispatcher.makeHttpClient))

/** An `HttpClient` for Node without time limits of its own, as a client of a clawdforge server needs it. */
export const layerHttpClient: Layer.Layer<HttpClient.HttpClient, ApiError<422>> = makeHttpClient({})

/** The same with options. Clients without any share one. */
export const layerHttpClientWith = (options: NodeOptions = {}): Layer.Layer<HttpClient.HttpClient, ApiError<422>> =>
  options.proxy === undefined ? layerHttpClient : makeHttpClient(options)

/** A client for a server at an address. */
export const layer = (options: Options): Layer.Layer<ForgeClient.ForgeClient, ApiError<422>> =>
  Layer.provide(ForgeClient.layer(options), layerHttpClientWith(options))

/** A client from configuration: by default from `CLAWDFORGE_URL` and `CLAWDFORGE_TOKEN`. */
export const layerConfig = (
  options?: ConfigOptions
): Layer.Layer<ForgeClient.ForgeClient, ApiError<422> | Config.ConfigError> =>
  Layer.provide(ForgeClient.layerConfig(options), layerHttpClientWith(options))
