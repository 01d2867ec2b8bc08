/**
 * Sessions by key: opened on first use, shared by the concurrent users of a key, closed once they have been idle.
 */
import { Clock, Deferred, Duration, Effect, Exit, Fiber, FiberSet, MutableHashMap, Option, Scope } from "effect"
import { ApiError, type CreateError, PoolFull } from "../ForgeError.ts"
import { ForgeClient } from "../ForgeClient.ts"
import type { Session } from "../Session.ts"
import type { SessionOptions } from "../SessionInfo.ts"

export interface Options<K, R> {
  readonly lookup: (key: K) => Effect.Effect<SessionOptions, CreateError, R>
  readonly idleTimeToLive: Duration.Duration
  readonly capacity: number
}

/** The session of a key. */
export interface Entry {
  /** How often its session was replaced. */
  generation: number
  opening: Deferred.Deferred<Session, CreateError>
  session: Session | undefined
  scope: Scope.Closeable | undefined
  users: number
  idleSince: number
  /** Waits to close it while it has no user. */
  idle: Fiber.Fiber<unknown, unknown> | undefined
}

export interface ConversationPool<K> {
  /** The session of a key, which is not closed for being idle before the scope closes. */
  readonly acquire: (
    key: K
  ) => Effect.Effect<{ readonly entry: Entry; readonly session: Session }, CreateError, Scope.Scope>
  /** Forgets a session that is closed: the next use of its key opens another. */
  readonly forget: (key: K, entry: Entry) => Effect.Effect<void>
  /** Opens another session in place of one that is closed, once for all of its users. */
  readonly renew: (key: K, entry: Entry, closed: Session) => Effect.Effect<Session, CreateError>
}

const full = (capacity: number) =>
  new ApiError({
    operation: "Conversations.use",
    method: "",
    path: "",
    requestId: undefined,
    status: 503 as const,
    outcome: "not-sent",
    retryAfter: undefined,
    reason: new PoolFull(),
    message: `all ${capacity} conversations are in use`
  })

/** How long a refusal of the server limits the number of sessions. */
const refusalHolds = Duration.minutes(10)

/** Whether the server has no room for another session, of this app or of all. */
const isRefused = (error: CreateError): boolean =>
  error._tag === "ApiError" && (error.reason._tag === "PoolFull" || error.reason._tag === "RateLimited")

export const make = Effect.fnUntraced(function* <K, R>(
  options: Options<K, R>
): Effect.fn.Return<ConversationPool<K>, never, ForgeClient | Scope.Scope | R> {
  const client = yield* ForgeClient
  // Closing one session does not wait for another.
  const all = yield* Scope.fork(yield* Effect.scope, "parallel")
  const fibers = yield* FiberSet.make()
  // With the context of the pool: a session must not depend on which of its users came first.
  const run = yield* FiberSet.runtime(fibers)<R>()
  const entries = MutableHashMap.empty<K, Entry>()

  const isCurrent = (key: K, entry: Entry) => Option.contains(MutableHashMap.get(entries, key), entry)

  const close = (entry: Entry) => {
    const { scope } = entry
    entry.scope = undefined
    return run(scope === undefined ? Effect.void : Scope.close(scope, Exit.void))
  }

  const remove = (key: K, entry: Entry) => {
    if (isCurrent(key, entry)) MutableHashMap.remove(entries, key)
    return close(entry)
  }

  const becomeIdle = Effect.fnUntraced(function* (key: K, entry: Entry) {
    if (entry.users > 0 || !isCurrent(key, entry)) return
    entry.idleSince = yield* Clock.currentTimeMillis
    entry.idle = run(
      Effect.andThen(
        Effect.sleep(options.idleTimeToLive),
        Effect.sync(() => remove(key, entry))
      )
    )
  })

  /** Closes the session that has been idle longest; undefined where none is idle. */
  const evict = () => {
    const idle = [...entries].filter(([, { idle }]) => idle !== undefined)
    const [longest] = idle.sort(([, a], [, b]) => a.idleSince - b.idleSince)
    if (longest === undefined) return undefined
    const [key, entry] = longest
    entry.idle?.interruptUnsafe()
    return remove(key, entry)
  }

  /** How many sessions the server had room for when it last refused one. */
  let room: { readonly count: number; readonly until: number } | undefined

  const noteRefusal = Effect.map(Clock.currentTimeMillis, (now) => {
    const count = [...entries].filter(([, { session }]) => session !== undefined).length
    room = { count: Math.max(1, count), until: now + Duration.toMillis(refusalHolds) }
  })

  /** Makes room for one more session, and returns when there is; undefined where there cannot be. */
  const makeRoom = Effect.map(Clock.currentTimeMillis, (now): Effect.Effect<unknown> | undefined => {
    const size = MutableHashMap.size(entries)
    const isFull = size >= options.capacity
    const isFullThere = room !== undefined && now < room.until && size >= room.count
    const evicted = isFull || isFullThere ? evict() : undefined
    if (evicted !== undefined) return Fiber.await(evicted)
    return isFull ? undefined : Effect.void
  })

  /** Opens a session. Where the server has no room for it, idle ones are closed for it. */
  const openSession = (how: SessionOptions): Effect.Effect<Session, CreateError, Scope.Scope> =>
    Effect.catchIf(client.session(how), isRefused, (error) =>
      Effect.flatMap(noteRefusal, () => {
        const evicted = evict()
        return evicted === undefined ? Effect.fail(error) : Effect.andThen(Fiber.await(evicted), openSession(how))
      })
    )

  /** Opens the session of an entry when there is room, whatever becomes of those who wait for it. */
  const open = (key: K, entry: Entry, whenRoom: Effect.Effect<unknown>) => {
    const opening = Deferred.makeUnsafe<Session, CreateError>()
    entry.opening = opening
    entry.session = undefined
    const opened = Effect.gen(function* () {
      const scope = yield* Scope.fork(all)
      entry.scope = scope
      yield* whenRoom
      const session = yield* Effect.flatMap(options.lookup(key), openSession).pipe(Scope.provide(scope))
      entry.session = session
      return session
    })
    run(
      Effect.onExit(opened, (exit) => {
        // A failure is not remembered.
        if (Exit.isFailure(exit)) remove(key, entry)
        return Effect.andThen(Deferred.done(opening, exit), becomeIdle(key, entry))
      })
    )
    return entry
  }

  const take = Effect.fnUntraced(function* (key: K): Effect.fn.Return<Entry, CreateError> {
    const known = Option.getOrUndefined(MutableHashMap.get(entries, key))
    if (known !== undefined) {
      known.idle?.interruptUnsafe()
      known.idle = undefined
      known.users++
      return known
    }
    const whenRoom = yield* makeRoom
    if (whenRoom === undefined) return yield* full(options.capacity)
    const entry: Entry = {
      generation: 1,
      opening: Deferred.makeUnsafe(),
      session: undefined,
      scope: undefined,
      users: 1,
      idleSince: 0,
      idle: undefined
    }
    MutableHashMap.set(entries, key, entry)
    return open(key, entry, whenRoom)
  })

  const leave = (key: K) => (entry: Entry) =>
    Effect.suspend(() => {
      entry.users--
      return entry.session === undefined ? Effect.void : becomeIdle(key, entry)
    })

  return {
    acquire: Effect.fnUntraced(function* (key) {
      const entry = yield* Effect.acquireRelease(take(key), leave(key))
      return { entry, session: yield* Deferred.await(entry.opening) }
    }),
    forget: (key, entry) =>
      Effect.sync(() => {
        remove(key, entry)
      }),
    renew: (key, entry, closed) =>
      Effect.suspend(() => {
        if (entry.session === closed) {
          close(entry)
          entry.generation++
          open(key, entry, Effect.void)
        }
        return Deferred.await(entry.opening)
      })
  }
})
