/**
 * Runs sessions: one agent each, and the turns of a session one at a time, in the order in which they were asked for.
 *
 * Its arguments are plain data, so that an implementation over several machines can send them to the machine that owns
 * the session; `LocalSessionEngine` is the one of this machine. It fails with the contract's own errors, and has written
 * to the ledger by the time it answers.
 */
import { Context, type DateTime, type Duration, type Effect, type Option, type Scope, type Stream } from "effect"
import type { AgentTurn, SystemPrompt } from "../../agent/Agent.ts"
import type {
  FileChanged,
  FileNotFound,
  Invalid,
  NotReady,
  PoolFull,
  RunFailed,
  SessionIsClosed,
  StorageUnavailable,
  TooLarge,
  TooMany
} from "../../api/Errors.ts"
import type { SessionId } from "../../wire/Ids.ts"
import type { McpServers } from "../../wire/McpServers.ts"
import type { Meta } from "../../wire/Sessions.ts"
import type { TurnEvent } from "../../wire/TurnEvent.ts"
import type { Usage } from "../../wire/Usage.ts"
import type { Workspace } from "../../wire/Workspaces.ts"
import type { Session } from "../storage/Ledger.ts"
import type { Upload } from "../files/Uploads.ts"
import type { Listing, OpenedFile, Written } from "../folders/Folders.ts"
import type { NewFile } from "./SessionFiles.ts"

/** A session to open. */
export interface NewSession {
  readonly app: { readonly id: number; readonly name: string }
  /** The name of an agent in the server's table. */
  readonly agent: string
  readonly model: string | null
  readonly effort?: string | undefined
  readonly system?: SystemPrompt | undefined
  readonly meta: typeof Meta.Type | null
  readonly workspace?: Workspace | undefined
  readonly mcpServers?: McpServers | undefined
}

/** A turn to run. */
export interface SessionTurn extends Omit<AgentTurn, "files" | "index"> {
  /** Names the turn within its session, for `cancel`; no two that run or wait at the same time share one. */
  readonly id: string
  /** Their rows: the content is copied for the agent when the turn starts. */
  readonly files: ReadonlyArray<Upload>
}

/** The last element of a turn's stream: the turn has ended, and its end is in the ledger. */
export interface TurnDone {
  readonly _tag: "TurnDone"
  readonly turnIndex: number
  readonly stopReason: string
  readonly duration: Duration.Duration
  readonly usage?: Usage | undefined
}

/**
 * The state of an open session. `running`: the agent has a turn. `waiting`: a turn waits for the agent's process.
 * `asleep`: it has no process until its next turn. `open`: its process is idle.
 */
export type SessionState = "open" | "running" | "waiting" | "asleep"

export class SessionEngine extends Context.Service<
  SessionEngine,
  {
    /** Opens a session, and returns once its agent is ready. An agent that is not in the table is `Invalid`. */
    readonly open: (
      session: NewSession
    ) => Effect.Effect<Session, Invalid | NotReady | RunFailed | PoolFull | StorageUnavailable | TooMany>
    /**
     * The events of a turn as they happen, then `TurnDone`, once the turns before it have ended. Interrupting the stream
     * cancels the turn, or removes it from the queue; the next turn starts when the agent has ended this one.
     */
    readonly turn: (
      sessionId: SessionId,
      turn: SessionTurn
    ) => Stream.Stream<
      TurnEvent | TurnDone,
      FileNotFound | Invalid | NotReady | RunFailed | SessionIsClosed | PoolFull | StorageUnavailable | TooMany
    >
    /**
     * Cancels the active turn, which then ends with the stop reason `cancelled`, or the turn of an id: one that still
     * waits for the turns before it, or has not arrived yet, is dropped unsent, and fails with `Invalid`. No other turn
     * is touched. Returns whether a turn was cancelled, once it has ended, or after 5 seconds where a slow reader holds up
     * its end, or where no turn of the id arrives.
     */
    readonly cancel: (sessionId: SessionId, turnId?: string) => Effect.Effect<boolean>
    /**
     * Ends the active turn and those that wait, and returns whether the session was open until now. The agent's process
     * may outlive the call for a moment.
     */
    readonly close: (sessionId: SessionId) => Effect.Effect<boolean, StorageUnavailable>
    /** What a session has changed in its workspace, as a patch, also of one that is closed; none of a session without one. */
    readonly diff: (sessionId: SessionId) => Effect.Effect<Option.Option<string>, RunFailed | TooLarge>
    /** What is in the folder of a session. */
    readonly listFiles: (
      sessionId: SessionId,
      options: { readonly path: string; readonly depth: number }
    ) => Effect.Effect<Listing, FileNotFound | Invalid | NotReady | SessionIsClosed | StorageUnavailable>
    /** Opens a file in the folder of a session until the scope closes. */
    readonly openFile: (
      sessionId: SessionId,
      path: string
    ) => Effect.Effect<
      OpenedFile,
      FileNotFound | Invalid | NotReady | SessionIsClosed | StorageUnavailable,
      Scope.Scope
    >
    /** Writes a file into the folder of a session. */
    readonly writeFile: <E>(
      sessionId: SessionId,
      file: NewFile<E>
    ) => Effect.Effect<
      Written,
      E | FileChanged | FileNotFound | Invalid | NotReady | SessionIsClosed | StorageUnavailable | TooLarge | TooMany
    >
    /** Closes a session unless a turn of it runs or waits, or has ended since `since`; returns whether it did. */
    readonly closeIdle: (sessionId: SessionId, since: DateTime.Utc) => Effect.Effect<boolean, StorageUnavailable>
    /** The number of sessions in each state. */
    readonly states: Effect.Effect<Readonly<Record<SessionState, number>>>
    /** The number of open sessions. */
    readonly size: Effect.Effect<number>
  }
>()("effect-clawdforge/server/sessions/SessionEngine") {}
