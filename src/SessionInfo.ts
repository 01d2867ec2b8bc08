/**
 * What is known of a session: its id, what it was opened with, and its state as the server tells it.
 *
 * Times are `DateTime.Utc`, to the second, as the server has them.
 *
 * **Example** (Coming back to a session by an id that was kept)
 *
 * ```ts
 * import { Effect } from "effect"
 * import { Forge, SessionInfo } from "effect-clawdforge"
 *
 * const ask = Effect.fn("ask")(function* (kept: string, prompt: string) {
 *   const session = yield* Forge.attach(SessionInfo.sessionId(kept))
 *   const { live, turnCount } = yield* session.state
 *   return live && turnCount > 0 ? (yield* session.turn(prompt)).text : undefined
 * })
 * ```
 */
import { Brand, type DateTime, type Schema } from "effect"

/** The server's id of a session: 1 to 128 letters, digits, `_` or `-`. It is no secret. */
export type SessionId = Brand.Branded<string, "SessionId">

/** An id from its text; a text that is none is refused where it is used. */
export const sessionId = Brand.nominal<SessionId>()

/** How a session is opened. */
export interface SessionOptions {
  /** The agent, by its name in the server's table: `claude` by default. One that is not there is `ApiError<422>`. */
  readonly agent?: string | undefined
  /** The model, as the agent knows it; the agent's own default without. */
  readonly model?: string | undefined
  /**
   * A system prompt. This one and the next two are for servers that name `session_options`; any other is not asked, and
   * it is `ApiError<422>`. An agent that has no way to set them is the same.
   */
  readonly system?: string | undefined
  /** Whether it is appended to the agent's own system prompt, or takes its place: `append` by default. */
  readonly systemMode?: "append" | "replace" | undefined
  /** How hard the model is to think. */
  readonly effort?: "low" | "medium" | "high" | "xhigh" | "max" | undefined
  /** A JSON object of your own, which the server keeps with the session: 16 KiB at most on our server. */
  readonly meta?: { readonly [key: string]: Schema.Json } | undefined
}

/** A session as it was created. */
export interface SessionInfo {
  readonly id: SessionId
  readonly agent: string
  /** Null where the agent chose. */
  readonly model: string | null
  /** The working directory of the agent, on the server's machine. */
  readonly cwd: string
  readonly createdAt: DateTime.Utc
}

/** A session as the server sees it now. */
export interface SessionState extends SessionInfo {
  /** The app that it belongs to; older servers do not say. */
  readonly appName: string | undefined
  /** Null before its first turn has ended. */
  readonly lastTurnAt: DateTime.Utc | null
  /** Every turn that was handed to the agent, failed and cancelled ones too. */
  readonly turnCount: number
  /** Null while it is open. */
  readonly closedAt: DateTime.Utc | null
  /** What it was opened with. */
  readonly meta: { readonly [key: string]: Schema.Json } | null
}

/** The state of one session, which also tells whether it can take a turn. */
export interface LiveState extends SessionState {
  /** Open and able to take a turn, asleep or not. */
  readonly live: boolean
}
