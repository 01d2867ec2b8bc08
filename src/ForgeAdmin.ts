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
 *   return minted.token // Redacted: told this once, and never printed
 * })
 * ```
 */
import { type Config, Context, Effect, Layer } from "effect"
import { HttpBody, type HttpClient } from "effect/http"
import * as Wire from "./wire/Tokens.ts"
import type { MintedToken, MintOptions, TokenInfo } from "./AppToken.ts"
import type { Options } from "./ForgeClient.ts"
import type { ApiError, MintError, RevokeError, TokensError } from "./ForgeError.ts"
import * as Exchange from "./internal/exchange/Exchange.ts"
import * as Tokens from "./internal/calls/Tokens.ts"
import * as Settings from "./internal/Settings.ts"

/** The administration of one clawdforge server. */
export class ForgeAdmin extends Context.Service<
  ForgeAdmin,
  {
    /** Makes a token for an app. A live token of that name is `ApiError<409>`. */
    readonly mint: (name: string, options?: MintOptions) => Effect.Effect<MintedToken, MintError>
    /** The live tokens, without their texts. */
    readonly list: Effect.Effect<ReadonlyArray<TokenInfo>, TokensError>
    /** Takes a token back: its app's turns end, its sessions are closed, its files are gone. */
    readonly revoke: (name: string) => Effect.Effect<void, RevokeError>
  }
>()("effect-clawdforge/ForgeAdmin") {}

/** Makes an administration over any `HttpClient`. */
export const make = Effect.fnUntraced(function* (
  options: Options
): Effect.fn.Return<ForgeAdmin["Service"], ApiError<422>, HttpClient.HttpClient> {
  const url = yield* Settings.url(options.url)
  const token = yield* Settings.token(options.token)
  const bounds = yield* Settings.retry(options.retry)
  const send = yield* Exchange.make({ url, token, bounds })
  return ForgeAdmin.of({
    mint: Effect.fnUntraced(function* (name, options) {
      const body = HttpBody.jsonUnsafe(yield* Tokens.encodeMint(name, options))
      return yield* send(Tokens.mint, { body })
    }),
    list: send(Tokens.list, {}),
    revoke: Effect.fnUntraced(function* (name) {
      const path = Wire.pathOf(yield* Tokens.encodeName(name))
      return yield* send(Tokens.revoke, { path })
    })
  })
})

/** The administration as a layer, over the `HttpClient` that it is given. */
export const layer = (options: Options): Layer.Layer<ForgeAdmin, ApiError<422>, HttpClient.HttpClient> =>
  Layer.effect(ForgeAdmin, make(options))

/**
 * The administration from the environment: `CLAWDFORGE_URL` (`http://127.0.0.1:8800` where it is not set) and
 * `CLAWDFORGE_ADMIN_TOKEN`.
 */
export const layerConfig: Layer.Layer<ForgeAdmin, ApiError<422> | Config.ConfigError, HttpClient.HttpClient> =
  Layer.effect(ForgeAdmin, Effect.flatMap(Settings.config("CLAWDFORGE_ADMIN_TOKEN"), make))
