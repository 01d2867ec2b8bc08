/**
 * What is known of a session: its id, what it was opened with, and its state as the server tells it.
 */
import type { Brand, DateTime, Schema } from "effect"

/** The server's id of a session. */
export type SessionId = Brand.Branded<string, "SessionId">

/** How a session is opened. */
export interface SessionOptions {
  /** The agent, by its name in the server's table: `claude` by default. */
  readonly agent?: string | undefined
  /** The model, as the agent knows it; the agent's own default without. */
  readonly model?: string | undefined
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
  readonly lastTurnAt: DateTime.Utc | null
  /** Every turn that was handed to the agent, failed and cancelled ones too. */
  readonly turnCount: number
  readonly closedAt: DateTime.Utc | null
  readonly meta: { readonly [key: string]: Schema.Json } | null
}

/** The state of one session, which also tells whether it can take a turn. */
export interface LiveState extends SessionState {
  /** Open and able to take a turn, asleep or not. */
  readonly live: boolean
}
