/**
 * The record of sessions, and of what happened to each.
 *
 * It is written before an answer is given, so that the answer survives a crash. It holds no text of a turn. Where the
 * database fails, every operation fails with `StorageUnavailable`.
 */
import { Context, type DateTime, type Effect, type Option, Schema } from "effect"
import type { StorageUnavailable } from "../../api/Errors.ts"
import { SessionId } from "../../wire/Ids.ts"
import { Meta, type SessionState } from "../../wire/Sessions.ts"
import * as Usage from "../../wire/Usage.ts"
import { OpenedWorkspace } from "../../wire/Workspaces.ts"
import type * as SessionPages from "./SessionPages.ts"

const millis = Schema.DateTimeUtcFromMillis

export const StoredUsage = Schema.NullOr(Schema.fromJsonString(Usage.usage))

const SystemPrompt = Schema.fromJsonString(
  Schema.Struct({ text: Schema.String, mode: Schema.Literals(["append", "replace"]) })
)

/** A session in the ledger. */
export const Session = Schema.Struct({
  sessionId: SessionId,
  appId: Schema.Int,
  appName: Schema.String,
  agent: Schema.String,
  /** The agent's own id of the session, by which another of its processes can restore it. */
  agentSessionId: Schema.String,
  model: Schema.NullOr(Schema.String),
  effort: Schema.NullOr(Schema.String),
  system: Schema.NullOr(SystemPrompt),
  meta: Schema.NullOr(Schema.fromJsonString(Meta)),
  /** Its MCP servers, sealed. Erased when it closes. */
  mcpServers: Schema.NullOr(Schema.String),
  cwd: Schema.String,
  /** The workspace that it works in, a clone or a copy of, if any. */
  workspace: Schema.NullOr(Schema.fromJsonString(OpenedWorkspace)),
  createdAt: millis,
  lastTurnAt: Schema.NullOr(millis),
  turnCount: Schema.Int,
  closedAt: Schema.NullOr(millis),
  /** What its turns used together; null where none of them said. */
  usage: StoredUsage
}).pipe(
  Schema.encodeKeys({
    sessionId: "session_id",
    appId: "app_id",
    appName: "app_name",
    agentSessionId: "agent_session_id",
    mcpServers: "mcp_servers",
    createdAt: "created_at",
    lastTurnAt: "last_turn_at",
    turnCount: "turn_count",
    closedAt: "closed_at"
  })
)
export type Session = typeof Session.Type

/** A session as its app sees it. */
export const toState = ({ mcpServers: _sealed, sessionId: id, usage, ...session }: Session): SessionState => ({
  id,
  ...session,
  ...(usage === null ? {} : { usage })
})

/** How a turn ended. */
export interface TurnOutcome {
  readonly sessionId: SessionId
  readonly appId: number
  readonly turnIndex: number
  readonly stopReason: string
  readonly durationMillis: number
  readonly usage?: Usage.Usage | undefined
}

/** The details in a row of `session_events`. */
export const Detail = Schema.fromJsonString(
  Schema.Struct({ stop_reason: Schema.String, duration_ms: Schema.optionalKey(Schema.Finite) })
)

/** An event in the life of a session. It holds no text. */
export const SessionEvent = Schema.Struct({
  /** Later ones have higher numbers. */
  seq: Schema.Int,
  at: Schema.DateTimeUtcFromMillis,
  kind: Schema.String,
  turnIndex: Schema.NullOr(Schema.Int),
  detail: Schema.NullOr(Detail)
}).pipe(Schema.encodeKeys({ turnIndex: "turn_index" }))
export type SessionEvent = typeof SessionEvent.Type

/** A run that ended, for the operator. It holds no text. */
export interface RunRecord {
  readonly appId: number
  readonly appName: string
  readonly agent: string
  readonly at: number
  readonly promptBytes: number
  readonly responseBytes: number
  readonly durationMillis: number
  readonly outcome: string
}

/** How many expired sessions are returned at once. */
export const expiredBatch = 500

export class Ledger extends Context.Service<
  Ledger,
  {
    readonly addSession: (session: Session) => Effect.Effect<void, StorageUnavailable>
    readonly findSession: (of: {
      readonly sessionId: string
      readonly appId: number
    }) => Effect.Effect<Option.Option<Session>, StorageUnavailable>
    /** A page of the sessions of an app, newest first. */
    readonly listSessions: (of: SessionPages.Request) => Effect.Effect<SessionPages.Page<Session>, StorageUnavailable>
    /** The ids of the open sessions of an app. */
    readonly openSessionsOf: (appId: number) => Effect.Effect<ReadonlyArray<SessionId>, StorageUnavailable>
    /** The apps without a token that have open sessions, uploads or kept answers. */
    readonly revokedApps: Effect.Effect<ReadonlyArray<number>, StorageUnavailable>
    /** Whether a session is open at another server. */
    readonly isOpenElsewhere: (sessionId: SessionId) => Effect.Effect<boolean, StorageUnavailable>
    /** Every open session of this server, of all apps. */
    readonly openSessions: Effect.Effect<ReadonlyArray<Session>, StorageUnavailable>
    /** The ids of all open sessions, also of other servers. */
    readonly openSessionIds: Effect.Effect<ReadonlyArray<SessionId>, StorageUnavailable>
    /** Records where a session works from now on. */
    readonly moveSession: (sessionId: SessionId, cwd: string) => Effect.Effect<void, StorageUnavailable>
    /**
     * Counts a turn that is about to be handed to the agent, and returns its number. If the end of the turn before it could
     * not be written, that one is ended first.
     */
    readonly beginTurn: (sessionId: SessionId) => Effect.Effect<number, StorageUnavailable>
    readonly endTurn: (outcome: TurnOutcome) => Effect.Effect<void, StorageUnavailable>
    /** Ends the turns that this server was running when it was killed; how they ended is unknown. */
    readonly endCutTurns: Effect.Effect<void, StorageUnavailable>
    /** All events of a session, oldest first. */
    readonly listEvents: (sessionId: string) => Effect.Effect<ReadonlyArray<SessionEvent>, StorageUnavailable>
    /** The events of a session after one of them, oldest first, at most as many as the limit. */
    readonly listEventsAfter: (of: {
      readonly sessionId: string
      readonly after: number
      readonly limit: number
    }) => Effect.Effect<ReadonlyArray<SessionEvent>, StorageUnavailable>
    /** Closes a session, and returns whether it was open until now. */
    readonly closeSession: (
      sessionId: SessionId,
      kind?: "close" | "sweep_close"
    ) => Effect.Effect<boolean, StorageUnavailable>
    /** The open sessions of this server that had no turn since then. */
    readonly idleSessions: (since: DateTime.Utc) => Effect.Effect<ReadonlyArray<SessionId>, StorageUnavailable>
    /** Some of the sessions that had been closed by then, `expiredBatch` of them if there are so many. */
    readonly expiredSessions: (closedBy: DateTime.Utc) => Effect.Effect<ReadonlyArray<SessionId>, StorageUnavailable>
    /** Deletes sessions, but not their events. */
    readonly deleteSessions: (sessionIds: ReadonlyArray<SessionId>) => Effect.Effect<void, StorageUnavailable>
    readonly addRun: (run: RunRecord) => Effect.Effect<void, StorageUnavailable>
    /** Deletes the older events of sessions and rows of runs. */
    readonly deleteAudit: (before: DateTime.Utc) => Effect.Effect<void, StorageUnavailable>
    /**
     * Clears all deleted rows from the files of the ledger: until then their text is still in the database's write-ahead
     * log.
     */
    readonly clearDeleted: Effect.Effect<void, StorageUnavailable>
    /** Fails if the ledger cannot be written. */
    readonly probe: Effect.Effect<void, StorageUnavailable>
  }
>()("effect-clawdforge/server/storage/Ledger") {}
