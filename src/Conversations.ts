/**
 * Sessions by key: one conversation for each user of a backend, for one.
 *
 * A session is opened on the first use of its key, shared by its concurrent users, and closed once it has been idle. They are
 * those of one process: two replicas of a program have two sessions for one key. A key decides whose conversation it is, so it
 * has to be bound to the end user who asks, and never be taken from a request as it came.
 *
 * **Example** (A conversation for each user)
 *
 * ```ts
 * import { Effect } from "effect"
 * import { Conversations } from "effect-clawdforge"
 *
 * class Chats extends Conversations.Service<Chats>()("Chats", {
 *   lookup: (user: string) => Effect.succeed({ agent: "claude", meta: { user } }),
 *   idleTimeToLive: "20 minutes",
 *   capacity: 100,
 *   onClosed: "renew"
 * }) {}
 *
 * const answer = Effect.fn("answer")((user: string, prompt: string) =>
 *   Chats.use(user, (session) => session.turn(prompt))
 * )
 * ```
 */
import { Context, Duration, Effect, Layer, type Scope, Stream } from "effect"
import type { CreateError } from "./ForgeError.ts"
import type { ForgeClient } from "./ForgeClient.ts"
import * as ConversationPool from "./internal/ConversationPool.ts"
import { ConversationSession } from "./internal/ConversationSession.ts"
import type { Session } from "./Session.ts"
import type { SessionOptions } from "./SessionInfo.ts"

/** The session of a key, which is replaced where the server has closed it (see `onClosed`). */
export interface Conversation extends Session {
  /** 1 for the first session of its key, and one more each time it was replaced: the agent then remembers nothing. */
  readonly generation: number
}

/** Sessions by key. */
export interface Conversations<K> {
  /**
   * Uses the session of a key, which is opened where there is none. It fails with `PoolFull`, not sent, where all sessions are in
   * use. An opening that failed is not remembered.
   */
  readonly use: <A, E, R>(
    key: K,
    use: (session: Conversation) => Effect.Effect<A, E, R>
  ) => Effect.Effect<A, E | CreateError, R>
  /** The same for a stream, such as that of a turn: the session is in use until it ends. */
  readonly stream: <A, E, R>(
    key: K,
    use: (session: Conversation) => Stream.Stream<A, E, R>
  ) => Stream.Stream<A, E | CreateError, R>
}

export interface Options<K, R> {
  /** How the session of a key is opened. It runs in the context of the layer, whoever uses the key first. */
  readonly lookup: (key: K) => Effect.Effect<SessionOptions, CreateError, R>
  /** How long a session is kept without a user: 30 minutes by default. Shorter than the server's own, which is an hour by default. */
  readonly idleTimeToLive?: Duration.Input | undefined
  /** The most sessions: 50 by default. Where there is no room, here or on the server, the one that has been idle longest is closed. */
  readonly capacity?: number | undefined
  /**
   * What becomes of a turn that finds the session closed on the server: it fails with `SessionClosed`, the default, or (`renew`)
   * is sent in a new session, whose `generation` is one more. Only a turn that the agent did not get is sent again.
   */
  readonly onClosed?: "fail" | "renew" | undefined
}

/** Makes conversations whose sessions are closed, in parallel, when the scope ends. */
export const make = Effect.fnUntraced(function* <K, R>(
  options: Options<K, R>
): Effect.fn.Return<Conversations<K>, never, ForgeClient | Scope.Scope | R> {
  const { capacity = 50, idleTimeToLive = "30 minutes", lookup, onClosed = "fail" } = options
  const pool = yield* ConversationPool.make<K, R>({
    lookup,
    capacity,
    idleTimeToLive: Duration.fromInputUnsafe(idleTimeToLive)
  })
  /** The session of a key, in use until the scope closes. */
  const acquire = Effect.fnUntraced(function* (key: K): Effect.fn.Return<Conversation, CreateError, Scope.Scope> {
    const { entry, session: first } = yield* pool.acquire(key)
    let current = first
    return new ConversationSession({
      current: () => ({ session: current, generation: entry.generation }),
      onClosed: Effect.fnUntraced(function* (closed) {
        if (onClosed === "fail") {
          yield* pool.forget(key, entry)
          return undefined
        }
        current = yield* pool.renew(key, entry, closed)
        return current
      })
    })
  })
  return {
    use: (key, use) => Effect.scoped(Effect.flatMap(acquire(key), use)),
    stream: (key, use) => Stream.unwrap(Effect.map(acquire(key), use))
  }
})

/** The class of a service of conversations. */
export interface ServiceClass<Self, Id extends string, K, R> extends Omit<
  Context.ServiceClass<Self, Id, Conversations<K>>,
  "use"
> {
  new (_: never): Context.ServiceClass.Shape<Id, Conversations<K>>
  /** The service over the client of the context. */
  readonly layer: Layer.Layer<Self, never, ForgeClient | R>
  readonly use: <A, E, R2>(
    key: K,
    use: (session: Conversation) => Effect.Effect<A, E, R2>
  ) => Effect.Effect<A, E | CreateError, R2 | Self>
  readonly stream: <A, E, R2>(
    key: K,
    use: (session: Conversation) => Stream.Stream<A, E, R2>
  ) => Stream.Stream<A, E | CreateError, R2 | Self>
}

/** A service of conversations, as a class of its own. */
export const Service =
  <Self>() =>
  <const Id extends string, K, R>(id: Id, options: Options<K, R>): ServiceClass<Self, Id, K, R> => {
    const tag = Context.Service<Self, Conversations<K>>()(id)
    const use: ServiceClass<Self, Id, K, R>["use"] = (key, use) =>
      Effect.flatMap(tag, (conversations) => conversations.use(key, use))
    const stream: ServiceClass<Self, Id, K, R>["stream"] = (key, use) =>
      Stream.unwrap(Effect.map(tag, (conversations) => conversations.stream(key, use)))
    // Boundary: of the type checker, which does not see what is added to a class.
    return Object.defineProperties(tag, {
      layer: { value: Layer.effect(tag, make(options)) },
      use: { value: use },
      stream: { value: stream }
    }) as never
  }
