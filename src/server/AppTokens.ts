/**
 * The tokens that apps show as their bearer.
 *
 * A token is told once, when it is minted; what is kept is its SHA-256. A token is also looked up by its SHA-256, so how
 * long that takes tells nothing of it.
 */
import { Context, Data, Effect, Layer, type Option, Redacted, Schema } from "effect"
import * as Digest from "effect/crypto/Digest"
import { SecureRandom } from "effect/crypto/SecureRandom"
import * as Base64Url from "effect/encoding/Base64Url"
import { TokenName } from "../api/schema/Ids.ts"
import { type App, Ledger } from "./Ledger.ts"

/** The name of a token is taken, or is no name of a token. */
export class TokenRefused extends Data.TaggedError("TokenRefused")<{ readonly message: string }> {}

export class AppTokens extends Context.Service<
  AppTokens,
  {
    /** A token for a new app. */
    readonly mint: (name: string) => Effect.Effect<Redacted.Redacted, TokenRefused>
    /** A new token for an app, which is made where it is not there; the one it had is void. */
    readonly renew: (name: string) => Effect.Effect<Redacted.Redacted, TokenRefused>
    readonly find: (token: Redacted.Redacted) => Effect.Effect<Option.Option<App>>
  }
>()("effect-clawdforge/server/AppTokens") {}

const secretBytes = 32

const decodeName = Schema.decodeEffect(TokenName)

export const make = Effect.gen(function* () {
  const ledger = yield* Ledger
  const digest = yield* Digest.Digest
  const random = yield* SecureRandom

  const sha256 = (token: Redacted.Redacted) =>
    digest.digestHex(Digest.sha256, new TextEncoder().encode(Redacted.value(token)))

  const renew = Effect.fn("AppTokens.renew")(function* (name: string) {
    yield* decodeName(name).pipe(
      Effect.mapError(() => new TokenRefused({ message: `"${name}" is not 1 to 64 of a-z, 0-9, _ and -` }))
    )
    const secret = yield* random.randomBytes(secretBytes)
    const token = Redacted.make(`cf_${Base64Url.encode(secret)}`, { label: "token" })
    yield* ledger.putToken({ name, sha256: yield* sha256(token) })
    return token
  })

  const mint = Effect.fn("AppTokens.mint")(function* (name: string) {
    if (yield* ledger.hasToken(name)) {
      return yield* new TokenRefused({ message: `there is a token named "${name}" already` })
    }
    return yield* renew(name)
  })

  const find = Effect.fnUntraced(function* (token: Redacted.Redacted) {
    return yield* ledger.findApp(yield* sha256(token))
  })

  return AppTokens.of({ mint, renew, find })
})

export const layer = Layer.effect(AppTokens, make)
