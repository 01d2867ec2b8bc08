/**
 * `POST /admin/tokens`, `GET /admin/tokens` and `DELETE /admin/tokens/{name}`.
 */
import { type DateTime, type Redacted, Schema } from "effect"
import { absent, nullable, renamed, secret, TokenName, UnixSeconds } from "./Ids.ts"

/** The body of a mint. */
export const MintRequest = Schema.Struct({
  name: TokenName,
  ipCidrs: nullable(Schema.Array(Schema.NonEmptyString))
}).pipe(Schema.encodeKeys({ ipCidrs: "ip_cidrs" }))
export type MintRequest = typeof MintRequest.Type

/** A token that was just made. */
export interface MintedToken {
  /** The app's: 1 to 64 lower-case letters, digits, `_` or `-`. */
  readonly name: string
  /** The token itself. The server shows it this once, and keeps no copy. */
  readonly token: Redacted.Redacted
  /** The addresses that it is good from; undefined where it is good from any. */
  readonly ipCidrs?: ReadonlyArray<string> | undefined
}

const mintedFields = {
  name: Schema.String,
  token: secret(Schema.NonEmptyString, "app token"),
  ipCidrs: absent(Schema.Array(Schema.String))
}

const mintedKeys = { ipCidrs: "ip_cidrs" } as const

const mintedTokenStruct = /* @__PURE__ */ renamed(mintedFields, mintedKeys)

/** As the wire has it, with the token in plain text. */
export interface MintedTokenEncoded extends Schema.Codec.Encoded<typeof mintedTokenStruct> {}

export const mintedToken: Schema.Codec<MintedToken, MintedTokenEncoded> = mintedTokenStruct

/** The answer to a mint. Where it has an `ok`, that is true. */
export const Minted = Schema.Struct({ ok: Schema.optionalKey(Schema.Literal(true)), ...mintedFields }).pipe(
  Schema.encodeKeys(mintedKeys)
)
export type Minted = typeof Minted.Type

/** A token as the server lists it. */
export interface TokenInfo {
  readonly name: string
  /** The addresses that it is good from; undefined where it is good from any. */
  readonly ipCidrs?: ReadonlyArray<string> | undefined
  readonly createdAt: DateTime.Utc
}

const tokenInfoStruct = Schema.Struct({
  name: Schema.String,
  ipCidrs: absent(Schema.Array(Schema.String)),
  createdAt: UnixSeconds
}).pipe(Schema.encodeKeys({ ipCidrs: "ip_cidrs", createdAt: "created_at" }))

/** As the wire has it. */
export interface TokenInfoEncoded extends Schema.Codec.Encoded<typeof tokenInfoStruct> {}

export const tokenInfo: Schema.Codec<TokenInfo, TokenInfoEncoded> = tokenInfoStruct

/** The answer to a list. */
export const TokenList = Schema.Struct({ ok: Schema.Literal(true), tokens: Schema.Array(tokenInfo) })
export type TokenList = typeof TokenList.Type

/** The answer to a revoke. */
export const Revoked = Schema.Struct({ ok: Schema.Literal(true) })
export type Revoked = typeof Revoked.Type
