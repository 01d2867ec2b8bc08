/**
 * Ends the work of an app as soon as its token is revoked.
 */
import { Deferred, Effect, Exit } from "effect"
import { type StorageUnavailable, Unauthorized } from "../../api/Errors.ts"
import { sentences } from "../../wire/Failures.ts"

export interface Revocations {
  /** Fails with a 401 as soon as the app's token is revoked. */
  readonly whileLive: (
    appId: number
  ) => <A, E, R>(effect: Effect.Effect<A, E, R>) => Effect.Effect<A, E | StorageUnavailable | Unauthorized, R>
  /** Ends whatever runs under `whileLive` for an app. */
  readonly revoke: (appId: number) => void
}

const invalid = new Unauthorized({ detail: sentences.invalidToken })

export const make = (isLive: (appId: number) => Effect.Effect<boolean, StorageUnavailable>): Revocations => {
  /** Completed when the token of an app is revoked, by app. */
  const watchers = new Map<number, Set<Deferred.Deferred<never, Unauthorized>>>()

  const watch = (appId: number) =>
    Effect.acquireRelease(
      Effect.sync(() => {
        const revoked = Deferred.makeUnsafe<never, Unauthorized>()
        const others = watchers.get(appId) ?? new Set()
        watchers.set(appId, others.add(revoked))
        return revoked
      }),
      (revoked) =>
        Effect.sync(() => {
          const others = watchers.get(appId)
          others?.delete(revoked)
          if (others?.size === 0) watchers.delete(appId)
        })
    )

  return {
    whileLive: (appId) =>
      Effect.fnUntraced(function* (effect) {
        const revoked = yield* watch(appId)
        // The token may have been revoked since the request was authenticated.
        if (!(yield* isLive(appId))) return yield* invalid
        return yield* Effect.raceFirst(effect, Deferred.await(revoked))
      }, Effect.scoped),
    revoke: (appId) => {
      for (const revoked of watchers.get(appId) ?? []) Deferred.doneUnsafe(revoked, Exit.fail(invalid))
    }
  }
}
