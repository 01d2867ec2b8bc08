/**
 * The bearer tokens of apps.
 *
 * A token is returned once, when it is minted; only its SHA-256 is kept. It is also looked up by its SHA-256, so the time
 * that takes reveals nothing about it.
 */
import { Clock, Context, Data, Effect, Layer, Option, Redacted, Schema } from "effect"
import * as Digest from "effect/crypto/Digest"
import { SecureRandom } from "effect/crypto/SecureRandom"
import * as Base64Url from "effect/encoding/Base64Url"
import { SqlClient, SqlSchema } from "effect/sql"
import type { StorageUnavailable, Unauthorized } from "../../api/Errors.ts"
import { TokenName } from "../../wire/Ids.ts"
import { orUnavailable } from "../storage/StorageFailure.ts"
import * as Revocations from "./Revocations.ts"

const Cidrs = Schema.NullOr(Schema.fromJsonString(Schema.Array(Schema.String)))

/** An app, identified by its token. */
export const App = Schema.Struct({
  /** Never reused: a token that is minted under an old name belongs to another app. */
  id: Schema.Int,
  name: Schema.String,
  /** The networks from which its token is accepted; null is any. */
  ipCidrs: Cidrs,
  createdAt: Schema.DateTimeUtcFromMillis
}).pipe(Schema.encodeKeys({ id: "app_id", ipCidrs: "ip_cidrs", createdAt: "created_at" }))
export type App = typeof App.Type

/** The name of a token is taken or malformed. */
export class TokenRefused extends Data.TaggedError("TokenRefused")<{
  readonly message: string
  readonly reason: "taken" | "malformed"
}> {
  static malformed(name: string) {
    return new TokenRefused({ message: `"${name}" is not 1 to 64 of a-z, 0-9, _ and -`, reason: "malformed" })
  }

  static taken(name: string) {
    return new TokenRefused({ message: `there is a token named "${name}" already`, reason: "taken" })
  }
}

export interface MintOptions {
  readonly ipCidrs?: ReadonlyArray<string> | undefined
}

export class AppTokens extends Context.Service<
  AppTokens,
  {
    /** Mints a token for a new app. */
    readonly mint: (
      name: string,
      options?: MintOptions
    ) => Effect.Effect<Redacted.Redacted, TokenRefused | StorageUnavailable>
    /** Replaces the token of an app, which is created if it does not exist. */
    readonly renew: (name: string) => Effect.Effect<Redacted.Redacted, TokenRefused | StorageUnavailable>
    readonly find: (token: Redacted.Redacted) => Effect.Effect<Option.Option<App>, StorageUnavailable>
    /** All apps, by name. */
    readonly list: Effect.Effect<ReadonlyArray<App>, StorageUnavailable>
    /** Revokes a token, and returns the app that had it. Whatever runs under `whileLive` ends. */
    readonly remove: (name: string) => Effect.Effect<Option.Option<App>, StorageUnavailable>
    /** Fails with a 401 as soon as the app's token is revoked. */
    readonly whileLive: (
      appId: number
    ) => <A, E, R>(effect: Effect.Effect<A, E, R>) => Effect.Effect<A, E | StorageUnavailable | Unauthorized, R>
  }
>()("effect-clawdforge/server/access/AppTokens") {}

const secretBytes = 32

const isName = Schema.is(TokenName)
const encodeCidrs = Schema.encodeEffect(Cidrs)

export const make = Effect.gen(function* () {
  const sql = yield* SqlClient.SqlClient
  const digest = yield* Digest.Digest
  const random = yield* SecureRandom

  const sha256 = (token: Redacted.Redacted) =>
    digest.digestHex(Digest.sha256, new TextEncoder().encode(Redacted.value(token)))

  /** A new token and its row. */
  const generate = Effect.fnUntraced(function* (name: string, options: MintOptions = {}) {
    if (!isName(name)) return yield* TokenRefused.malformed(name)
    const secret = yield* random.randomBytes(secretBytes)
    const token = Redacted.make(`cf_${Base64Url.encode(secret)}`, { label: "token" })
    const row = {
      name,
      sha256: yield* sha256(token),
      ip_cidrs: yield* Effect.orDie(encodeCidrs(options.ipCidrs ?? null)),
      created_at: yield* Clock.currentTimeMillis
    }
    return { token, row }
  })

  const mint = Effect.fn("AppTokens.mint")(function* (name: string, options?: MintOptions) {
    const { row, token } = yield* generate(name, options)
    const added = yield* orUnavailable(
      sql`INSERT INTO tokens ${sql.insert(row)} ON CONFLICT (name) DO NOTHING RETURNING app_id`
    )
    return added.length === 0 ? yield* TokenRefused.taken(name) : token
  })

  const renew = Effect.fn("AppTokens.renew")(function* (name: string) {
    const { row, token } = yield* generate(name)
    yield* orUnavailable(
      sql`INSERT INTO tokens ${sql.insert(row)} ON CONFLICT (name) DO UPDATE SET
        sha256 = excluded.sha256, ip_cidrs = excluded.ip_cidrs, created_at = excluded.created_at`
    )
    return token
  })

  const findBySha256 = SqlSchema.findOneOption({
    Request: Schema.String,
    Result: App,
    execute: (sha256) => sql`SELECT * FROM tokens WHERE sha256 = ${sha256}`
  })

  const listAll = SqlSchema.findAll({
    Request: Schema.Void,
    Result: App,
    execute: () => sql`SELECT * FROM tokens ORDER BY name`
  })

  const deleteByName = SqlSchema.findOneOption({
    Request: Schema.String,
    Result: App,
    execute: (name) => sql`DELETE FROM tokens WHERE name = ${name} RETURNING *`
  })

  const isLive = Effect.fnUntraced(function* (appId: number) {
    const rows = yield* sql`SELECT app_id FROM tokens WHERE app_id = ${appId}`
    return rows.length > 0
  }, orUnavailable)

  const revocations = Revocations.make(isLive)

  const remove = Effect.fn("AppTokens.remove")(function* (name: string) {
    const app = yield* orUnavailable(deleteByName(name))
    if (Option.isSome(app)) revocations.revoke(app.value.id)
    return app
  })

  return AppTokens.of({
    mint,
    renew,
    find: Effect.fnUntraced(function* (token) {
      return yield* findBySha256(yield* sha256(token))
    }, orUnavailable),
    list: orUnavailable(listAll()),
    remove,
    whileLive: revocations.whileLive
  })
})

export const layer = Layer.effect(AppTokens, make)
