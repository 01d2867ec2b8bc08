/**
 * The administration of a clawdforge server: its app tokens. It has a token of its own, the server's admin token.
 *
 * **Example** (A token for a new app)
 *
 * ```ts
 * import { Effect } from "effect"
 * import { ForgeAdmin } from "effect-clawdforge"
 *
 * const program = Effect.gen(function* () {
 *   const admin = yield* ForgeAdmin.ForgeAdmin
 *   const minted = yield* admin.mint("billing", { ipCidrs: ["10.0.0.0/8"] })
 *   return minted.token // Redacted: the server shows it only this once
 * })
 * ```
 */
import { type Config, Context, Effect, Layer } from "effect"
import { HttpBody, type HttpClient } from "effect/http"
import * as Paths from "./wire/Paths.ts"
import type { MintedToken, MintOptions, TokenInfo } from "./AppToken.ts"
import type { ConfigOptions, Options } from "./ForgeClient.ts"
import type { ApiError, MintError, RevokeError, TokensError } from "./ForgeError.ts"
import * as Exchange from "./internal/exchange/Exchange.ts"
import * as Tokens from "./internal/calls/Tokens.ts"
import * as Settings from "./internal/Settings.ts"

/** What the admin of a server can do. */
export interface Service {
  /** Mints a token for an app. A live token of that name is `ApiError<409>`. */
  readonly mint: (name: string, options?: MintOptions) => Effect.Effect<MintedToken, MintError>
  /** The live tokens, without their texts. */
  readonly list: Effect.Effect<ReadonlyArray<TokenInfo>, TokensError>
  /** Revokes a token: its app's turns end, its sessions are closed, its files are deleted. */
  readonly revoke: (name: string) => Effect.Effect<void, RevokeError>
}

/** The administration of one clawdforge server. */
export class ForgeAdmin extends Context.Service<ForgeAdmin, Service>()("effect-clawdforge/ForgeAdmin") {}

/** Makes an administration over any `HttpClient`. */
export const make = Effect.fnUntraced(function* (
  options: Options
): Effect.fn.Return<Service, ApiError<422>, HttpClient.HttpClient> {
  const { send } = yield* Exchange.make(yield* Settings.check(options))
  return ForgeAdmin.of({
    mint: Effect.fnUntraced(function* (name, options) {
      const body = HttpBody.jsonUnsafe(yield* Tokens.encodeMint(name, options))
      return yield* send(Tokens.mint, { body })
    }),
    list: send(Tokens.list, {}),
    revoke: Effect.fnUntraced(function* (name) {
      const path = Paths.token.of(yield* Tokens.encodeName(name))
      return yield* send(Tokens.revoke, { path })
    })
  })
})

/** The administration as a layer, over the `HttpClient` that it is given. */
export const layer = (options: Options): Layer.Layer<ForgeAdmin, ApiError<422>, HttpClient.HttpClient> =>
  Layer.effect(ForgeAdmin, make(options))

/** The administration from configuration: by default from `CLAWDFORGE_URL` and `CLAWDFORGE_ADMIN_TOKEN`. */
export const layerConfig = (
  options?: ConfigOptions
): Layer.Layer<ForgeAdmin, ApiError<422> | Config.ConfigError, HttpClient.HttpClient> =>
  Layer.effect(
    ForgeAdmin,
    Effect.flatMap(Settings.load("CLAWDFORGE_ADMIN_TOKEN", options), (loaded) => make({ ...options, ...loaded }))
  )
