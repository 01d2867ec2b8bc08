/**
 * What runs sessions: one agent each, turns one at a time and in the order they came.
 *
 * The interface is small because it has more than one implementation: agents of this machine (`LocalSessionEngine`), and
 * one day agents of several. It fails with the contract's own errors, and has written to the ledger by the time it
 * answers.
 */
import { Context, type DateTime, type Duration, type Effect, type Stream } from "effect"
import type { AgentDefinition, AgentTurn, SystemPrompt } from "../../agent/Agent.ts"
import type {
  FileNotFound,
  Invalid,
  NotReady,
  PoolFull,
  RunFailed,
  SessionIsClosed,
  TooMany
} from "../../api/Errors.ts"
import type { SessionId } from "../../wire/Ids.ts"
import type { Meta } from "../../wire/Sessions.ts"
import type { TurnEvent } from "../../wire/TurnEvent.ts"
import type { Usage } from "../../wire/Usage.ts"
import type { Session } from "../storage/Ledger.ts"
import type { Upload } from "../files/Uploads.ts"

/** A session to be opened. */
export interface NewSession {
  readonly app: { readonly id: number; readonly name: string }
  readonly agent: AgentDefinition
  readonly model: string | null
  readonly effort?: string | undefined
  readonly system?: SystemPrompt | undefined
  readonly meta: typeof Meta.Type | null
}

/** A turn whose files are not yet laid out for the agent. */
export interface SessionTurn extends Omit<AgentTurn, "files"> {
  readonly files: ReadonlyArray<Upload>
}

/** The last thing that a turn gives: it ended, and the ledger knows. */
export interface TurnDone {
  readonly _tag: "TurnDone"
  readonly turnIndex: number
  readonly stopReason: string
  readonly duration: Duration.Duration
  readonly usage?: Usage | undefined
}

/**
 * What an open session does. `running`: a turn is with the agent. `waiting`: a turn waits for the agent to wake.
 * `asleep`: it has no process until its next turn.
 */
export type SessionState = "open" | "running" | "waiting" | "asleep"

export class SessionEngine extends Context.Service<
  SessionEngine,
  {
    /** Answers once the agent is ready. */
    readonly open: (session: NewSession) => Effect.Effect<Session, Invalid | NotReady | RunFailed | PoolFull | TooMany>
    /**
     * The events of a turn as they come, then `TurnDone`. It waits for its place first. Interrupting it cancels the turn,
     * or takes it out of the queue; the next one starts when the agent has ended this one. When `cancel` ends, this turn
     * and no other is ended: in flight it is done with `cancelled`, and before that it fails with `Invalid`.
     */
    readonly turn: (
      sessionId: SessionId,
      turn: SessionTurn,
      cancel?: Effect.Effect<void>
    ) => Stream.Stream<
      TurnEvent | TurnDone,
      FileNotFound | Invalid | NotReady | RunFailed | SessionIsClosed | PoolFull | TooMany
    >
    /**
     * Ends the turn in flight, which then is done with `cancelled`, and gives whether there was one. Turns that wait are
     * not touched.
     */
    readonly cancel: (sessionId: SessionId) => Effect.Effect<boolean>
    /**
     * Ends the turn in flight and those that wait, and gives whether the session was open until now. The agent may still
     * be going when this answers.
     */
    readonly close: (sessionId: SessionId) => Effect.Effect<boolean>
    /** Closes a session unless a turn of it runs or waits, or has ended since then, and gives whether it did. */
    readonly closeIdle: (sessionId: SessionId, since: DateTime.Utc) => Effect.Effect<boolean>
    /** How many sessions are in each state. */
    readonly states: Effect.Effect<Readonly<Record<SessionState, number>>>
    /** How many sessions are open. */
    readonly size: Effect.Effect<number>
  }
>()("effect-clawdforge/server/sessions/SessionEngine") {}
