/**
 * The sessions behind the calls of a language model: a chat goes on in the session that gave its last response.
 */
import { type Duration, Effect, Result, type Scope } from "effect"
import * as Conversations from "../Conversations.ts"
import { type CreateError, SessionClosed, type StateError } from "../ForgeError.ts"
import type { ForgeClient } from "../ForgeClient.ts"
import type { Session } from "../Session.ts"
import type { SessionOptions } from "../SessionInfo.ts"

export interface Options {
  /** How the sessions are opened: the agent, its model and so on. */
  readonly session?: SessionOptions | undefined
  /** How long a session is kept for the next call of its chat: 30 minutes by default. */
  readonly idleTimeToLive?: Duration.Input | undefined
  /** The most sessions at once: 50 by default. Where there is no room, here or on the server, the one that has been idle longest is closed. */
  readonly capacity?: number | undefined
}

/** A call of a language model. */
export interface Chat {
  /** The id of the response that it follows, and how many messages the prompt of that one had. */
  readonly previous: { readonly id: string; readonly messages: number } | undefined
  /** How many messages its own prompt has. */
  readonly messages: number
  readonly system: string | undefined
  /** Whether its system prompt is another than that of the response that it follows. */
  readonly isSystemNew: boolean
  /** Whether its prompt has answers of the agent. */
  readonly hasAnswers: boolean
}

/** Why a call does not go on in the session of the response that it follows. */
export type Anew =
  | "its session is not known"
  | "its system prompt has changed"
  | "its session is closed"
  | "its session is busy with another call"
  | "its session had other turns since"
  | "its session has another branch of the chat"

/** The session of a call. */
export interface Place {
  readonly session: Conversations.Conversation
  /** Whether the agent has the messages before. */
  readonly goesOn: boolean
  readonly anew?: Anew | undefined
}

export interface ChatSessions {
  readonly use: <A, E, R>(
    chat: Chat,
    use: (place: Place) => Effect.Effect<A, E, R>
  ) => Effect.Effect<A, E | CreateError | StateError, R>
}

/** The id of a response: its session, and its turn there. */
export const responseId = (sessionId: string, turnIndex: number): string => `${sessionId}/${turnIndex}`

const parse = (id: string) => {
  const [sessionId = "", index = ""] = id.split("/")
  return { sessionId, index: Number(index) }
}

const closed = { anew: "its session is closed" as const }

const gone = { live: false, turnCount: 0 }

/** How a session is on the server. One that the server has forgotten is closed. */
const stateOf = (session: Session) =>
  Effect.catchIf(
    session.state,
    (error) => error._tag === "ApiError" && error.status === 404,
    () => Effect.succeed(gone)
  )

/** Closed since its state was read. Where it counts a turn more the agent may have the prompt. */
const orClosed = Effect.fnUntraced(function* <A, E, R>(
  answered: Effect.Effect<A, E, R>,
  session: Session,
  index: number
) {
  const exit = yield* Effect.result(answered)
  if (Result.isSuccess(exit)) return { done: exit.success }
  const isUnanswered = exit.failure instanceof SessionClosed && (yield* stateOf(session)).turnCount === index
  return isUnanswered ? closed : yield* Effect.fail(exit.failure)
})

const join = (own: string | undefined, more: string | undefined) =>
  own === undefined || more === undefined ? (own ?? more) : `${own}\n\n${more}`

export const make = Effect.fnUntraced(function* (
  options: Options
): Effect.fn.Return<ChatSessions, never, ForgeClient | Scope.Scope> {
  const systems = new Map<string, string | undefined>()
  /** The chat of each session, and how many messages the prompt of its last response had. */
  const chats = new Map<string, { readonly chat: string; readonly messages: number }>()
  const busy = new Set<string>()
  let count = 0

  /** Forgets a chat when its session closes. */
  const forget = (chat: string) =>
    Effect.sync(() => {
      systems.delete(chat)
      for (const [sessionId, known] of chats) if (known.chat === chat) chats.delete(sessionId)
    })

  const conversations = yield* Conversations.make({
    lookup: Effect.fnUntraced(function* (chat: string) {
      yield* Effect.addFinalizer(() => forget(chat))
      const system = join(options.session?.system, systems.get(chat))
      return { ...options.session, system }
    }),
    idleTimeToLive: options.idleTimeToLive,
    capacity: options.capacity
  })

  const inChat = <A, E, R>(chat: string, use: (session: Conversations.Conversation) => Effect.Effect<A, E, R>) =>
    Effect.acquireUseRelease(
      Effect.sync(() => busy.add(chat)),
      () => conversations.use(chat, use),
      () => Effect.sync(() => busy.delete(chat))
    )

  /** Uses a session, and keeps which prompt it has answered. */
  const answer = <A, E, R>(
    chat: string,
    messages: number,
    place: Place,
    use: (place: Place) => Effect.Effect<A, E, R>
  ) => Effect.tap(use(place), () => Effect.sync(() => chats.set(place.session.id, { chat, messages })))

  const begin = <A, E, R>(
    { messages, system }: Chat,
    anew: Anew | undefined,
    use: (place: Place) => Effect.Effect<A, E, R>
  ) =>
    Effect.suspend(() => {
      const chat = `chat-${++count}`
      systems.set(chat, system)
      return inChat(chat, (session) => answer(chat, messages, { session, goesOn: false, anew }, use))
    })

  return {
    use: Effect.fnUntraced(function* (call, use) {
      const { hasAnswers, isSystemNew, messages, previous } = call
      if (previous === undefined) return yield* begin(call, hasAnswers ? "its session is not known" : undefined, use)
      if (isSystemNew) return yield* begin(call, "its system prompt has changed", use)
      const { index, sessionId } = parse(previous.id)
      const known = chats.get(sessionId)
      if (known === undefined) return yield* begin(call, "its session is closed", use)
      const { chat } = known
      if (busy.has(chat)) return yield* begin(call, "its session is busy with another call", use)
      // The tracker of `effect/ai` gives a message of two branches the response of the one that was called last.
      if (known.messages !== previous.messages) {
        return yield* begin(call, "its session has another branch of the chat", use)
      }
      const went = yield* inChat(
        chat,
        Effect.fnUntraced(function* (session) {
          // Another one was opened in its place.
          if (session.id !== sessionId) {
            const place: Place = { session, goesOn: false, anew: "its session is closed" }
            return { done: yield* answer(chat, messages, place, use) }
          }
          const { live, turnCount } = yield* stateOf(session)
          if (!live) return closed
          if (turnCount !== index) return { anew: "its session had other turns since" as const }
          return yield* orClosed(answer(chat, messages, { session, goesOn: true }, use), session, index)
        })
      )
      return "done" in went ? went.done : yield* begin(call, went.anew, use)
    })
  }
})
