/**
 * Cleans up once a minute: closes idle sessions, and deletes expired uploads, kept answers and closed sessions with all
 * their text. The events of sessions and the rows of runs, which hold no text, are kept longer.
 */
import { Context, DateTime, Duration, Effect, Layer, Schedule } from "effect"
import type { StorageUnavailable } from "../../api/Errors.ts"
import type { SessionId } from "../../wire/Ids.ts"
import { KeptAnswers } from "../calls/KeptAnswers.ts"
import { expiredBatch, Ledger } from "../storage/Ledger.ts"
import * as Metrics from "../Metrics.ts"
import { SessionEngine } from "../sessions/SessionEngine.ts"
import { Uploads } from "../files/Uploads.ts"
import { Workspaces } from "../workspaces/Workspaces.ts"

export interface Options {
  /** How long a session may be idle before it is closed; an hour if not given. */
  readonly sessionTtl?: Duration.Input | undefined
  /** How long a closed session is kept before it is deleted; a day if not given. */
  readonly hardTtl?: Duration.Input | undefined
}

/** What a sweep did. */
export interface Swept {
  readonly softClosed: number
  readonly hardDeleted: number
}

export class Sweeper extends Context.Service<
  Sweeper,
  {
    readonly sweep: Effect.Effect<Swept>
    /** Closes the sessions of an app whose token is revoked, and removes its files and keys. A sweep does what is left. */
    readonly removeApp: (appId: number) => Effect.Effect<void, StorageUnavailable>
  }
>()("effect-clawdforge/server/upkeep/Sweeper") {}

const interval = "60 seconds"
const auditTtl = Duration.days(90)

const withoutDefects = <A, E>(what: string, effect: Effect.Effect<A, E>, otherwise: A): Effect.Effect<A, E> =>
  Effect.catchDefect(effect, (defect) => Effect.as(Effect.logError(`${what} failed`, defect), otherwise))

/** A step of a sweep. Where it fails, the steps after it are done all the same. */
const step = <A, E>(what: string, effect: Effect.Effect<A, E>, otherwise: A): Effect.Effect<A> =>
  withoutDefects(what, Effect.orDie(effect), otherwise)

export const make = Effect.fnUntraced(function* (options: Options) {
  const engine = yield* SessionEngine
  const ledger = yield* Ledger
  const uploads = yield* Uploads
  const kept = yield* KeptAnswers
  const workspaces = yield* Workspaces
  const sessionTtl = Duration.fromInputUnsafe(options.sessionTtl ?? "1 hour")
  const hardTtl = Duration.fromInputUnsafe(options.hardTtl ?? "1 day")

  const before = (ttl: Duration.Duration) => Effect.map(DateTime.now, DateTime.subtractDuration(ttl))

  const closeIdle = Effect.gen(function* () {
    const since = yield* before(sessionTtl)
    const idle = yield* ledger.idleSessions(since)
    let closed = 0
    const close = Effect.fnUntraced(function* (id: SessionId) {
      if (yield* withoutDefects("closing an idle session", engine.closeIdle(id, since), false)) closed++
    })
    // A ledger that cannot be written fails for all of them, each after a while: the next sweep closes the rest.
    yield* step("closing idle sessions", Effect.forEach(idle, close, { discard: true }), undefined)
    return closed
  })

  const deleteExpired = Effect.gen(function* () {
    const closedBy = yield* before(hardTtl)
    let deleted = 0
    while (true) {
      const expired = yield* ledger.expiredSessions(closedBy)
      yield* Effect.forEach(expired, uploads.removeOfSession, { discard: true })
      yield* Effect.forEach(expired, kept.removeOfSession, { discard: true })
      yield* Effect.forEach(expired, workspaces.forget, { discard: true })
      yield* ledger.deleteSessions(expired)
      deleted += expired.length
      if (expired.length < expiredBatch) return deleted
    }
  })

  const removeApp = Effect.fnUntraced(function* (appId: number) {
    yield* Effect.forEach(yield* ledger.openSessionsOf(appId), engine.close, { discard: true })
    yield* uploads.removeOfApp(appId)
    yield* kept.removeOfApp(appId)
  })

  const removeRevoked = Effect.flatMap(ledger.revokedApps, Effect.forEach(removeApp, { discard: true }))

  const sweep = Effect.gen(function* () {
    const swept: Swept = {
      softClosed: yield* step("finding idle sessions", closeIdle, 0),
      hardDeleted: yield* step("deleting expired sessions", deleteExpired, 0)
    }
    yield* step("removing what revoked apps have left", removeRevoked, undefined)
    yield* step("deleting expired uploads", uploads.sweepExpired, undefined)
    yield* step("forgetting kept answers", Effect.flatMap(before(hardTtl), kept.removeBefore), undefined)
    yield* step("forgetting old events", Effect.flatMap(before(auditTtl), ledger.deleteAudit), undefined)
    // Last, since what the other steps and the time since the last sweep deleted is in the files until then.
    yield* step("clearing what was deleted", ledger.clearDeleted, undefined)
    yield* Metrics.countSwept(swept)
    if (swept.softClosed + swept.hardDeleted > 0) {
      yield* Effect.annotateLogs(Effect.logInfo("swept"), {
        soft_closed: swept.softClosed,
        hard_deleted: swept.hardDeleted
      })
    }
    return swept
  }).pipe(Effect.withSpan("Sweeper.sweep"))

  return Sweeper.of({
    sweep,
    removeApp: (appId) => Effect.andThen(removeApp(appId), ledger.clearDeleted)
  })
})

/** Sweeps once a minute for as long as the layer lives. */
export const layer = (options: Options) =>
  Layer.effect(
    Sweeper,
    Effect.tap(make(options), ({ sweep }) => sweep.pipe(Effect.repeat(Schedule.spaced(interval)), Effect.forkScoped))
  )
