/**
 * `POST /sessions`, `GET /sessions`, `GET /sessions/{id}` and `DELETE /sessions/{id}`.
 */
import { Effect, Schema } from "effect"
import { isDeeper } from "./Depth.ts"
import { AgentName, ModelName, NotBlank, nullable, orNull, SessionId, UnixSeconds } from "./Ids.ts"
import { Effort, SystemMode } from "./Runs.ts"

/** How deep it may nest: no answer of more is read either. */
const maxDepth = 64

/** A JSON object of the caller's own, kept with the session; its numbers are doubles. */
export const Meta = Schema.Record(Schema.String, Schema.Json).check(
  Schema.makeFilter(Schema.is(Schema.Json), { message: "must be a plain JSON object" }),
  Schema.makeFilter((meta) => !isDeeper(meta, maxDepth), { message: `must not nest deeper than ${maxDepth}` })
)

/** What a session can be opened with; the last three are for servers that name `session_options`. */
export const createFields = {
  agent: AgentName.pipe(Schema.withDecodingDefaultKey(Effect.succeed("claude"))),
  meta: nullable(Meta),
  model: nullable(ModelName),
  system: nullable(NotBlank),
  systemMode: nullable(SystemMode),
  effort: nullable(Effort)
}

export const createKeys = { systemMode: "system_mode" } as const

/** The body of `POST /sessions`. */
export const CreateRequest = Schema.Struct(createFields).pipe(Schema.encodeKeys(createKeys))
export type CreateRequest = typeof CreateRequest.Type

/** The answer to `POST /sessions`. */
export const Created = Schema.Struct({
  ok: Schema.Literal(true),
  sessionId: SessionId,
  agent: Schema.String,
  createdAt: UnixSeconds,
  cwd: Schema.String,
  model: orNull(Schema.String)
}).pipe(Schema.encodeKeys({ sessionId: "session_id", createdAt: "created_at" }))
export type Created = typeof Created.Type

const rowFields = {
  sessionId: SessionId,
  appName: Schema.optionalKey(Schema.String),
  agent: Schema.String,
  cwd: Schema.String,
  createdAt: UnixSeconds,
  lastTurnAt: orNull(UnixSeconds),
  turnCount: Schema.Int,
  closedAt: orNull(UnixSeconds),
  meta: orNull(Meta),
  model: orNull(Schema.String)
}

const rowKeys = {
  sessionId: "session_id",
  appName: "app_name",
  createdAt: "created_at",
  lastTurnAt: "last_turn_at",
  turnCount: "turn_count",
  closedAt: "closed_at"
} as const

/** One session as a list shows it; `app_name` may be missing on older servers. */
export const Row = Schema.Struct(rowFields).pipe(Schema.encodeKeys(rowKeys))
export type Row = typeof Row.Type

/** The answer to `GET /sessions`. */
export const List = Schema.Struct({
  ok: Schema.Literal(true),
  sessions: Schema.Array(Row),
  count: Schema.Int
})
export type List = typeof List.Type

/** The answer to `GET /sessions/{id}`. */
export const State = Schema.Struct({ ok: Schema.Literal(true), ...rowFields, live: Schema.Boolean }).pipe(
  Schema.encodeKeys(rowKeys)
)
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

/** The answer to `DELETE /sessions/{id}`. */
export const Closed = Schema.Struct({
  ok: Schema.Literal(true),
  alreadyClosed: Schema.optionalKey(Schema.Boolean)
}).pipe(Schema.encodeKeys({ alreadyClosed: "already_closed" }))
export type Closed = typeof Closed.Type
