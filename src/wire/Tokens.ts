/**
 * `POST /admin/tokens`, `GET /admin/tokens` and `DELETE /admin/tokens/{name}`.
 */
import { Schema } from "effect"
import { nullable, orNull, TokenName, UnixSeconds } from "./Ids.ts"

/** The body of a mint. */
export const MintRequest = Schema.Struct({
  name: TokenName,
  ipCidrs: nullable(Schema.Array(Schema.NonEmptyString))
}).pipe(Schema.encodeKeys({ ipCidrs: "ip_cidrs" }))
export type MintRequest = typeof MintRequest.Type

/** The answer to a mint: the only time that the token is told. Where it has an `ok`, that is true. */
export const Minted = Schema.Struct({
  ok: Schema.optionalKey(Schema.Literal(true)),
  name: Schema.String,
  token: Schema.NonEmptyString,
  ipCidrs: orNull(Schema.Array(Schema.String))
}).pipe(Schema.encodeKeys({ ipCidrs: "ip_cidrs" }))
export type Minted = typeof Minted.Type

/** One token as a list shows it. */
export const TokenRow = Schema.Struct({
  name: Schema.String,
  ipCidrs: orNull(Schema.Array(Schema.String)),
  createdAt: UnixSeconds
}).pipe(Schema.encodeKeys({ ipCidrs: "ip_cidrs", createdAt: "created_at" }))
export type TokenRow = typeof TokenRow.Type

/** The answer to a list. */
export const TokenList = Schema.Struct({ ok: Schema.Literal(true), tokens: Schema.Array(TokenRow) })
export type TokenList = typeof TokenList.Type

/** The answer to a revoke. */
export const Revoked = Schema.Struct({ ok: Schema.Literal(true) })
export type Revoked = typeof Revoked.Type
