/**
 * `POST /sessions`, `GET /sessions`, `GET /sessions/{id}` and `DELETE /sessions/{id}`.
 */
import { type DateTime, Schema } from "effect"
import { isDeeper } from "./Depth.ts"
import { AgentName, ModelName, NotBlank, nullable, orNull, renamed, SessionId, UnixSeconds } from "./Ids.ts"
import { McpServers } from "./McpServers.ts"
import { Effort, SystemMode } from "./Runs.ts"
import { type Usage, usage } from "./Usage.ts"
import { Workspace } from "./Workspaces.ts"

/** How deep it may nest: no answer of more is read either. */
const maxDepth = 64

/** A JSON object of the caller's own, kept with the session; its numbers are doubles. */
export const Meta = Schema.Record(Schema.String, Schema.Json).check(
  Schema.makeFilter(Schema.is(Schema.Json), { message: "must be a plain JSON object" }),
  Schema.makeFilter((meta) => !isDeeper(meta, maxDepth), { message: `must not nest deeper than ${maxDepth}` })
)

/** What a session can be opened with; `system`, `systemMode` and `effort` are for servers that name `session_options`. */
export const createFields = {
  agent: Schema.optionalKey(AgentName),
  meta: nullable(Meta),
  model: nullable(ModelName),
  system: nullable(NotBlank),
  systemMode: nullable(SystemMode),
  effort: nullable(Effort),
  workspace: nullable(Workspace),
  mcpServers: nullable(McpServers)
}

export const createKeys = { systemMode: "system_mode", mcpServers: "mcp_servers" } as const

/** The body of `POST /sessions`. */
export const CreateRequest = Schema.Struct(createFields).pipe(Schema.encodeKeys(createKeys))
export type CreateRequest = typeof CreateRequest.Type
export type CreateRequestEncoded = typeof CreateRequest.Encoded

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

const infoFields = {
  id: SessionId,
  agent: Schema.String,
  createdAt: UnixSeconds,
  cwd: Schema.String,
  model: orNull(Schema.String)
}

const infoKeys = { id: "session_id", createdAt: "created_at" } as const

const sessionInfoStruct = /* @__PURE__ */ renamed(infoFields, infoKeys)

/** As the wire has it, without `ok`. */
export interface SessionInfoEncoded extends Schema.Codec.Encoded<typeof sessionInfoStruct> {}

export const sessionInfo: Schema.Codec<SessionInfo, SessionInfoEncoded> = sessionInfoStruct

/** The answer to `POST /sessions`. */
export const Created = Schema.Struct({ ok: Schema.Literal(true), ...infoFields }).pipe(Schema.encodeKeys(infoKeys))
export type Created = typeof Created.Type

/** A session as the server sees it now. */
export interface SessionState extends SessionInfo {
  /** The app that it belongs to; older servers do not say. */
  readonly appName?: string | undefined
  /** Null before its first turn has ended. */
  readonly lastTurnAt: DateTime.Utc | null
  /** Every turn that was handed to the agent, failed and cancelled ones too. */
  readonly turnCount: number
  /** Null while it is open. */
  readonly closedAt: DateTime.Utc | null
  /** The JSON object that it was opened with, if any. */
  readonly meta: { readonly [key: string]: Schema.Json } | null
  /** What its turns used together, as far as the agent reports it; other servers than ours do not say. */
  readonly usage?: Usage | undefined
}

const stateFields = {
  id: SessionId,
  appName: Schema.optional(Schema.String),
  agent: Schema.String,
  cwd: Schema.String,
  createdAt: UnixSeconds,
  lastTurnAt: orNull(UnixSeconds),
  turnCount: Schema.Int,
  closedAt: orNull(UnixSeconds),
  meta: orNull(Meta),
  model: orNull(Schema.String),
  usage: Schema.optional(usage)
}

const stateKeys = {
  ...infoKeys,
  appName: "app_name",
  lastTurnAt: "last_turn_at",
  turnCount: "turn_count",
  closedAt: "closed_at"
} as const

const sessionStateStruct = Schema.Struct(stateFields).pipe(Schema.encodeKeys(stateKeys))

/** As the wire has it. */
export interface SessionStateEncoded extends Schema.Codec.Encoded<typeof sessionStateStruct> {}

export const sessionState: Schema.Codec<SessionState, SessionStateEncoded> = sessionStateStruct

/** The most sessions of one page. */
export const maxPage = 1_000

/** In front of the name of a string that the meta of the listed sessions must have. */
export const metaPrefix = "meta."

/** The answer to `GET /sessions`. */
export const List = Schema.Struct({
  ok: Schema.Literal(true),
  sessions: Schema.Array(sessionState),
  /** How many are in this answer. */
  count: Schema.Int,
  /** The `cursor` of the next page; null after the last one. Servers without `pages` do not send it. */
  nextCursor: Schema.optionalKey(Schema.NullOr(Schema.String))
}).pipe(Schema.encodeKeys({ nextCursor: "next_cursor" }))
export type List = typeof List.Type

/** The state of one session, which also says whether it can take a turn. */
export interface LiveState extends SessionState {
  /** Open and able to take a turn, asleep or not. */
  readonly live: boolean
}

const liveFields = { ...stateFields, live: Schema.Boolean }

const liveStateStruct = /* @__PURE__ */ renamed(liveFields, stateKeys)

/** As the wire has it, without `ok`. */
export interface LiveStateEncoded extends Schema.Codec.Encoded<typeof liveStateStruct> {}

export const liveState: Schema.Codec<LiveState, LiveStateEncoded> = liveStateStruct

/** The answer to `GET /sessions/{id}`. */
export const State = Schema.Struct({ ok: Schema.Literal(true), ...liveFields }).pipe(Schema.encodeKeys(stateKeys))
export type State = typeof State.Type

/** One thing that happened to a session, in numbers and names only. */
export const Event = Schema.Struct({
  seq: Schema.Int,
  at: UnixSeconds,
  kind: Schema.String,
  turnIndex: Schema.optionalKey(Schema.Int),
  detail: Schema.optionalKey(Schema.Record(Schema.String, Schema.Json))
}).pipe(Schema.encodeKeys({ turnIndex: "turn_index" }))
export type Event = typeof Event.Type

/** The answer to `GET /sessions/{id}/events`. */
export const Events = Schema.Struct({ ok: Schema.Literal(true), events: Schema.Array(Event) })
export type Events = typeof Events.Type

/** The answer to `GET /sessions/{id}/diff`. */
export const Diff = Schema.Struct({
  ok: Schema.Literal(true),
  /** A patch, which is empty where nothing has changed. */
  diff: Schema.String
})
export type Diff = typeof Diff.Type

/** The answer to `DELETE /sessions/{id}`. */
export const Closed = Schema.Struct({
  ok: Schema.Literal(true),
  alreadyClosed: Schema.optionalKey(Schema.Boolean)
}).pipe(Schema.encodeKeys({ alreadyClosed: "already_closed" }))
export type Closed = typeof Closed.Type
