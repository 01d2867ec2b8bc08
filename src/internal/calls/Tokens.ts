/**
 * The calls that make, list and revoke app tokens.
 */
import { Effect, Schema } from "effect"
import { TokenName } from "../../wire/Ids.ts"
import * as Paths from "../../wire/Paths.ts"
import * as Wire from "../../wire/Tokens.ts"
import type { MintedToken, MintOptions, TokenInfo } from "../../AppToken.ts"
import * as Input from "./Input.ts"
import { callDeadline, decodeTo, decoder, define } from "./Operation.ts"

/** `POST /admin/tokens`. */
export const mint = define({
  name: "ForgeAdmin.mint",
  method: "POST",
  path: Paths.tokens,
  statuses: [409, 422],
  deadline: callDeadline,
  decode: decodeTo(decoder(Wire.Minted), ({ ok: _ok, ...minted }): MintedToken => minted)
})

const decodeList = decodeTo(decoder(Wire.TokenList), ({ tokens }): ReadonlyArray<TokenInfo> => tokens)

const decodeBareList: typeof decodeList = decoder(Schema.Array(Wire.tokenInfo))

/** `GET /admin/tokens`; older servers answer with the bare array. */
export const list = define({
  name: "ForgeAdmin.list",
  method: "GET",
  path: Paths.tokens,
  statuses: [],
  deadline: callDeadline,
  decode: (json) => (Array.isArray(json) ? decodeBareList(json) : decodeList(json))
})

/** `DELETE /admin/tokens/{name}`. */
export const revoke = define({
  name: "ForgeAdmin.revoke",
  method: "DELETE",
  path: Paths.token.template,
  statuses: [404, 422],
  deadline: callDeadline,
  decode: decodeTo(decoder(Wire.Revoked), () => undefined)
})

const encodeRequest = Input.encoder(Wire.MintRequest)

/** The body of a mint. */
export const encodeMint = (name: string, options: MintOptions = {}) =>
  encodeRequest(mint, () => ({ name, ...(options.ipCidrs === undefined ? {} : { ipCidrs: options.ipCidrs }) }))

const encodeTokenName = Input.encoder(Schema.Struct({ name: TokenName }))

/** A token's name as a path can carry it. */
export const encodeName = (name: string) =>
  Effect.map(
    encodeTokenName(revoke, () => ({ name })),
    (encoded) => encoded.name
  )
