/**
 * The token of whoever runs the server. What is kept of it is its SHA-256.
 */
import { Context, Effect, Layer, Option, Redacted } from "effect"
import * as Digest from "effect/crypto/Digest"
import { timingSafeEqual } from "node:crypto"
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
  /** At least 32 visible ASCII characters; without one nobody is the admin. */
  readonly adminToken?: Redacted.Redacted | undefined
}

const shortest = 32

/** What is wrong with an admin token, in one sentence. */
export const wrongWith = (token: Redacted.Redacted): string | undefined => {
  const text = Redacted.value(token)
  if (text.length < shortest) return `the admin token must have at least ${shortest} characters`
  return /^[\x21-\x7e]+$/.test(text)
    ? undefined
    : "the admin token must be one word of ASCII characters: no client can send it otherwise"
}

export const make = Effect.fnUntraced(function* ({ adminToken }: Options) {
  const digest = yield* Digest.Digest
  const hash = (token: Redacted.Redacted) =>
    digest.digest(Digest.sha256, new TextEncoder().encode(Redacted.value(token)))
  const wrong = adminToken === undefined ? undefined : wrongWith(adminToken)
  if (wrong !== undefined) return yield* new StartFailed({ message: wrong })
  const kept = adminToken === undefined ? Option.none() : Option.some(yield* hash(adminToken))
  return AdminToken.of({
    matches: Effect.fnUntraced(function* (token) {
      const shown = yield* hash(token)
      return Option.exists(kept, (kept) => timingSafeEqual(kept, shown))
    })
  })
})

export const layer = (options: Options) => Layer.effect(AdminToken, make(options))

/** Asks for the admin token. */
export const layerAccess = Layer.effect(
  AdminAccess,
  Effect.gen(function* () {
    const { matches } = yield* AdminToken
    return AdminAccess.of({
      bearer: Effect.fnUntraced(function* (httpEffect, { credential }) {
        if (Redacted.value(credential) === "") return yield* new Unauthorized({ detail: sentences.missingBearer })
        if (!(yield* matches(credential))) return yield* new Unauthorized({ detail: sentences.invalidToken })
        return yield* httpEffect
      })
    })
  })
)
