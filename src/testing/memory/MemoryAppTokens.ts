/**
 * The bearer tokens of a server in memory.
 */
import { DateTime, Effect, Layer, Option, Redacted, Schema } from "effect"
import { SecureRandom } from "effect/crypto/SecureRandom"
import * as Base64Url from "effect/encoding/Base64Url"
import { TokenName } from "../../wire/Ids.ts"
import { type App, AppTokens, TokenRefused } from "../../server/access/AppTokens.ts"
import * as Revocations from "../../server/access/Revocations.ts"
import type { Store } from "./Store.ts"

const secretBytes = 32

const isName = Schema.is(TokenName)

export const make = Effect.fnUntraced(function* (store: Store) {
  const random = yield* SecureRandom
  const revocations = Revocations.make((appId) =>
    Effect.sync(() => [...store.apps.values()].some(({ id }) => id === appId))
  )
  const named = (name: string) => [...store.apps].find(([, app]) => app.name === name)

  const add = Effect.fnUntraced(function* (name: string, more: Partial<App> = {}) {
    if (!isName(name)) return yield* TokenRefused.malformed(name)
    const secret = yield* random.randomBytes(secretBytes)
    const token = `cf_${Base64Url.encode(secret)}`
    store.apps.set(token, { id: store.next(), name, ipCidrs: null, createdAt: yield* DateTime.now, ...more })
    return Redacted.make(token, { label: "token" })
  })

  return AppTokens.of({
    mint: Effect.fnUntraced(function* (name, { ipCidrs = null } = {}) {
      if (named(name) !== undefined) return yield* TokenRefused.taken(name)
      return yield* add(name, { ipCidrs })
    }),
    renew: Effect.fnUntraced(function* (name) {
      const [old, app] = named(name) ?? []
      if (old !== undefined) store.apps.delete(old)
      return yield* add(name, app === undefined ? {} : { id: app.id })
    }),
    find: (token) => Effect.sync(() => Option.fromUndefinedOr(store.apps.get(Redacted.value(token)))),
    list: Effect.sync(() => [...store.apps.values()].toSorted((a, b) => (a.name < b.name ? -1 : 1))),
    remove: (name) =>
      Effect.sync(() => {
        const [token, app] = named(name) ?? []
        if (token === undefined || app === undefined) return Option.none()
        store.apps.delete(token)
        revocations.revoke(app.id)
        return Option.some(app)
      }),
    whileLive: revocations.whileLive
  })
})

export const layer = (store: Store) => Layer.effect(AppTokens, make(store))
