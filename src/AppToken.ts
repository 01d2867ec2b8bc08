/**
 * The tokens that apps come with, as `ForgeAdmin` makes and lists them.
 *
 * One app is one name: sessions and files belong to the app whose token made them, and no other app sees them.
 *
 * **Example** (A token that is good from one network only, and is handed over once)
 *
 * ```ts
 * import { Effect, Redacted } from "effect"
 * import { ForgeAdmin } from "effect-clawdforge"
 *
 * const handOver = Effect.fn("handOver")(function* (store: (secret: string) => Effect.Effect<void>) {
 *   const admin = yield* ForgeAdmin.ForgeAdmin
 *   const minted = yield* admin.mint("billing", { ipCidrs: ["10.0.0.0/8"] })
 *   yield* store(Redacted.value(minted.token))
 * })
 * ```
 */
import type { Schema } from "effect"
import * as Wire from "./wire/Tokens.ts"

export type { MintedTokenEncoded, TokenInfoEncoded } from "./wire/Tokens.ts"

/** A token that was just made. */
export type MintedToken = Wire.MintedToken

/** The codec of a token that was just made. Its encoded form shows the token. */
export const MintedToken: Schema.Codec<MintedToken, Wire.MintedTokenEncoded> = Wire.mintedToken

/** A token as the server lists it. */
export type TokenInfo = Wire.TokenInfo

/** The codec of a token as the server lists it. */
export const TokenInfo: Schema.Codec<TokenInfo, Wire.TokenInfoEncoded> = Wire.tokenInfo

/** How a token is made. */
export interface MintOptions {
  /** The addresses that it is to be good from, as CIDRs, on top of what the server allows for all: any without. */
  readonly ipCidrs?: ReadonlyArray<string> | undefined
}
