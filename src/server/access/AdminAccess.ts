/**
 * The operator's token. Only its SHA-256 is kept.
 */
import { Context, Effect, Layer, Option, Redacted } from "effect"
import * as Digest from "effect/crypto/Digest"
import { timingSafeEqual } from "effect/crypto/Mac"
import { Unauthorized } from "../../api/Errors.ts"
import { AdminAccess } from "../../api/Middlewares.ts"
import { sentences } from "../../wire/Failures.ts"
import { StartFailed } from "../StartFailed.ts"

export class AdminToken extends Context.Service<
  AdminToken,
  {
    readonly matches: (token: Redacted.Redacted) => Effect.Effect<boolean>
  }
>()("effect-clawdforge/server/access/AdminAccess/AdminToken") {}

export interface Options {
  /** At least 32 visible ASCII characters. Without it no one has admin access. */
  readonly adminToken?: Redacted.Redacted | undefined
}

const minLength = 32

/** Why a token cannot be the admin token, in one sentence. */
export const problemOf = (token: Redacted.Redacted): string | undefined => {
  const text = Redacted.value(token)
  if (text.length < minLength) return `the admin token must have at least ${minLength} characters`
  return /^[\x21-\x7e]+$/.test(text)
    ? undefined
    : "the admin token must be one word of ASCII characters: no client can send it otherwise"
}

export const make = Effect.fnUntraced(function* ({ adminToken }: Options) {
  const digest = yield* Digest.Digest
  const hash = (token: Redacted.Redacted) =>
    digest.digest(Digest.sha256, new TextEncoder().encode(Redacted.value(token)))
  const problem = adminToken === undefined ? undefined : problemOf(adminToken)
  if (problem !== undefined) return yield* new StartFailed({ message: problem })
  const kept = adminToken === undefined ? Option.none() : Option.some(yield* hash(adminToken))
  return AdminToken.of({
    matches: Effect.fnUntraced(function* (token) {
      const given = yield* hash(token)
      return Option.exists(kept, (kept) => timingSafeEqual(kept, given))
    })
  })
})

export const layer = (options: Options) => Layer.effect(AdminToken, make(options))

/** Requires the admin token. */
export const layerAccess = Layer.effect(
  AdminAccess,
  Effect.gen(function* () {
    const { matches } = yield* AdminToken
    return AdminAccess.of({
      adminToken: Effect.fnUntraced(function* (httpEffect, { credential }) {
        if (Redacted.value(credential) === "") return yield* new Unauthorized({ detail: sentences.missingBearer })
        if (!(yield* matches(credential))) return yield* new Unauthorized({ detail: sentences.invalidToken })
        return yield* httpEffect
      })
    })
  })
)
