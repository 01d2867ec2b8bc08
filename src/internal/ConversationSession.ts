/**
 * The session of a conversation, which is replaced where the server has closed it.
 */
import { Effect, Inspectable, type Schema, Stream } from "effect"
import { ApiError, type SessionClosed, type TurnAsError, type TurnError } from "../ForgeError.ts"
import type { Session } from "../Session.ts"
import type { SessionId, SessionInfo } from "../SessionInfo.ts"
import type * as Turn from "../Turn.ts"

export interface Source {
  readonly current: () => { readonly session: Session; readonly generation: number }
  /** Another session in place of a closed one; undefined where the caller is to get the error. */
  readonly onClosed: (closed: Session) => Effect.Effect<Session | undefined, TurnError>
}

/** How many turns of each session its agent was handed for certain, as far as this program knows. */
const handed = new WeakMap<Session, number>()

const note = (session: Session, turns: number) => Effect.sync(() => handed.set(session, turns))

const noteFailure = (session: Session, error: TurnAsError) => note(session, (handed.get(session) ?? 0) + turnsOf(error))

/** Keeps count of the turns that the agent was handed. */
const counted = <A, E extends TurnAsError, R>(
  session: Session,
  turn: Effect.Effect<A, E, R>,
  indexOf: (answer: A) => number
): Effect.Effect<A, E, R> =>
  turn.pipe(
    Effect.tap((answer) => note(session, indexOf(answer))),
    Effect.tapError((error) => noteFailure(session, error))
  )

/** The turns that a failure counts as: the agent had them. */
const turnsOf = (error: TurnAsError): number => {
  if (!(error instanceof ApiError) || error.outcome !== "acted") return 0
  return error.reason._tag === "OutputMismatch" ? error.reason.attempts.length : 1
}

export class ConversationSession extends Inspectable.Class implements Session {
  readonly #source: Source

  constructor(source: Source) {
    super()
    this.#source = source
  }

  get #session(): Session {
    return this.#source.current().session
  }

  get generation(): number {
    return this.#source.current().generation
  }

  get id(): SessionId {
    return this.#session.id
  }

  get info(): SessionInfo {
    return this.#session.info
  }

  get cancel(): Session["cancel"] {
    return Effect.suspend(() => this.#session.cancel)
  }

  get state(): Session["state"] {
    return Effect.suspend(() => this.#session.state)
  }

  get diff(): Session["diff"] {
    return Effect.suspend(() => this.#session.diff)
  }

  get files(): Session["files"] {
    return {
      list: (options) => Effect.suspend(() => this.#session.files.list(options)),
      read: (path, options) => Stream.suspend(() => this.#session.files.read(path, options)),
      write: (path, content, options) => Effect.suspend(() => this.#session.files.write(path, content, options))
    }
  }

  get close(): Session["close"] {
    return Effect.suspend(() => {
      const session = this.#session
      return Effect.andThen(session.close, Effect.ignore(this.#source.onClosed(session)))
    })
  }

  get closed(): Session["closed"] {
    return Effect.suspend(() => this.#session.closed)
  }

  turn(prompt: string, options?: Turn.TurnOptions): Effect.Effect<Turn.Turn, TurnError> {
    const send = (session: Session) => counted(session, session.turn(prompt, options), ({ index }) => index)
    return Effect.suspend(() => {
      const session = this.#session
      return Effect.catchTag(send(session), "SessionClosed", (closed) =>
        Effect.flatMap(this.#renewed(session, closed), send)
      )
    })
  }

  turnAs<S extends Schema.Constraint>(
    schema: S,
    prompt: string,
    options?: Turn.TurnAsOptions
  ): Effect.Effect<Turn.Structured<S["Type"]>, TurnAsError, S["DecodingServices"]> {
    const send = (session: Session) =>
      counted(session, session.turnAs(schema, prompt, options), ({ turn }) => turn.index)
    return Effect.suspend(() => {
      const session = this.#session
      return Effect.catchTag(send(session), "SessionClosed", (closed) =>
        Effect.flatMap(this.#renewed(session, closed), send)
      )
    })
  }

  stream(prompt: string, options?: Turn.StreamOptions): Stream.Stream<Turn.Part, TurnError> {
    const read = (session: Session) =>
      session.stream(prompt, options).pipe(
        Stream.tap((part) => (part._tag === "Done" ? note(session, part.turn.index) : Effect.void)),
        Stream.tapError((error) => noteFailure(session, error))
      )
    return Stream.suspend(() => {
      const session = this.#session
      return Stream.catchTag(read(session), "SessionClosed", (closed) =>
        Stream.unwrap(Effect.map(this.#renewed(session, closed), read))
      )
    })
  }

  override toJSON(): unknown {
    return { _id: "Conversation", generation: this.generation, session: this.#session }
  }

  /**
   * The session that replaces a closed one. A turn that the closing cut short may have reached the agent, and is not repeated:
   * the server then counts one turn more than ended here.
   */
  #renewed(session: Session, closed: SessionClosed): Effect.Effect<Session, TurnError> {
    if (closed.by === "client") return Effect.fail(closed)
    return Effect.gen({ self: this }, function* () {
      const next = yield* this.#source.onClosed(session)
      if (next === undefined) return yield* closed
      const { turnCount } = yield* Effect.mapError(session.state, () => closed)
      return turnCount === (handed.get(session) ?? 0) ? next : yield* closed
    })
  }
}
