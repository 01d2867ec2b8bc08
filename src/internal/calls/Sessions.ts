/**
 * The calls that create, read and close sessions.
 */
import { Duration, Effect, Option, Schema } from "effect"
import { HttpBody } from "effect/http"
import { IdempotencyKey, SessionId } from "../../wire/Ids.ts"
import * as Paths from "../../wire/Paths.ts"
import * as Wire from "../../wire/Sessions.ts"
import { ApiError, type CloseError, type CreateError, type Status } from "../../ForgeError.ts"
import type {
  ListOptions,
  LiveState,
  McpServer,
  SessionInfo,
  SessionOptions,
  SessionState,
  Workspace
} from "../../SessionInfo.ts"
import * as Input from "./Input.ts"
import { callDeadline, callOf, decodeTo, decoder, define, type Operation } from "./Operation.ts"

/** `POST /sessions`. */
export const create = define({
  deadline: Duration.seconds(60),
  name: "Forge.session",
  method: "POST",
  path: Paths.sessions,
  statuses: [413, 422, 502],
  keyed: true,
  decode: decodeTo(decoder(Wire.Created), ({ ok: _ok, ...info }): SessionInfo => info)
})

/** What decides where the fields of an object are: its strings, with the value of the field where one is that. */
const jsonTokens = /[{}[\]]|("(?:[^"\\]|\\.)*")(?:\s*:\s*"([\w-]*)")?/g

/** How much of an answer is searched for the id of a session, in characters. */
const maxSearched = 1024 * 1024

const isSessionId = Schema.is(SessionId)

/** The session that an answer to a create names in its outermost object, also where it is cut off or nests too deep. */
export const idIn = (answer: string): SessionId | undefined => {
  let depth = 0
  for (const [token, name, value] of answer.slice(0, maxSearched).matchAll(jsonTokens)) {
    if (token === "{" || token === "[") depth++
    else if (token === "}" || token === "]") depth--
    else if (depth === 1 && name === '"session_id"') return isSessionId(value) ? value : undefined
  }
  return undefined
}

/** `GET /sessions`. */
export const list = define({
  deadline: callDeadline,
  name: "Forge.sessions",
  method: "GET",
  path: Paths.sessions,
  statuses: [422],
  decode: decodeTo(decoder(Wire.List), ({ nextCursor, sessions }): SessionPage => ({
    sessions,
    next: Option.fromNullishOr(nextCursor)
  }))
})

/** Some of the sessions, newest first. */
export interface SessionPage {
  readonly sessions: ReadonlyArray<SessionState>
  /** The cursor of the next page; none after the last one, and from servers without `pages`, whose only page has all. */
  readonly next: Option.Option<string>
}

/** Which sessions a list has. */
export interface PreparedList {
  readonly includeClosed: boolean
  readonly meta: { readonly [name: string]: string }
  /** The most of them; all if undefined. */
  readonly limit: number | undefined
}

const encodeListRequest = Input.encoder(
  Schema.Struct({
    limit: Schema.UndefinedOr(
      Schema.Int.check(Schema.isGreaterThanOrEqualTo(1, { message: "must be a whole number from 1 on" }))
    ),
    meta: Schema.Record(Schema.String, Schema.String)
  })
)

/** Checks what a list is to have. */
export const prepareList = (options: ListOptions = {}) =>
  Effect.map(
    encodeListRequest(list, () => ({ limit: options.limit, meta: { ...options.meta } })),
    ({ limit, meta }): PreparedList => ({ limit, meta, includeClosed: options.includeClosed !== false })
  )

/** The query of one page. */
export const pageQuery = ({ includeClosed, meta }: PreparedList, size: number, cursor: Option.Option<string>) => {
  const pairs = [
    ["include_closed", String(includeClosed)],
    ["limit", String(size)],
    ...Option.match(cursor, { onNone: () => [], onSome: (text) => [["cursor", text]] }),
    ...Object.entries(meta).map(([name, value]) => [Wire.metaPrefix + name, value])
  ]
  return `?${pairs.map((pair) => pair.map(encodeURIComponent).join("=")).join("&")}`
}

/** Whether a session has the strings in its meta, which servers without `pages` do not look at. */
export const hasMeta = ({ meta: strings }: PreparedList, { meta }: SessionState): boolean =>
  Object.entries(strings).every(([name, value]) => meta !== null && Object.hasOwn(meta, name) && meta[name] === value)

/** `GET /sessions/{id}`. */
export const get = define({
  deadline: callDeadline,
  name: "Session.state",
  method: "GET",
  path: Paths.session.template,
  statuses: [404, 422],
  decode: decodeTo(decoder(Wire.State), ({ ok: _ok, ...state }): LiveState => state)
})

/** `GET /sessions/{id}/diff`. */
export const diff = define({
  deadline: Duration.seconds(60),
  name: "Session.diff",
  method: "GET",
  path: Paths.diff.template,
  statuses: [404, 413, 422, 502],
  decode: decodeTo(decoder(Wire.Diff), ({ diff }): string => diff)
})

/** `DELETE /sessions/{id}`. */
export const close = define({
  deadline: Duration.seconds(5),
  name: "Session.close",
  method: "DELETE",
  path: Paths.session.template,
  statuses: [404, 422],
  // Nothing else in the body matters.
  decode: decodeTo(decoder(Schema.Struct({ ok: Schema.Literal(true) })), () => undefined)
})

/** A server that confirms by its status alone. */
const isNoContent = (error: CloseError): boolean =>
  error._tag === "TransportError" && error.reason._tag === "Malformed" && error.reason.status === 204

/** Only the contract's own 404 says that there is no such session: a proxy answers 404 for a route that it does not have. */
const isSessionNotFound = (error: CloseError): boolean =>
  ApiError.is(404)(error) && error.reason._tag === "NotFound" && error.reason.resource === "session"

/**
 * Treats a failed close as done where the session is closed all the same: after a 204, and where a session that this
 * program created no longer exists.
 */
export const acceptClosed = (close: Effect.Effect<void, CloseError>, { owned }: { readonly owned: boolean }) =>
  Effect.catchIf(
    close,
    (error) => isNoContent(error) || (owned && isSessionNotFound(error)),
    () => Effect.void
  )

/** Whether a session may exist although the call that was to create it failed. The contract's 502 says that none was opened. */
export const mayHaveCreated = (error: CreateError): boolean =>
  "outcome" in error && (error.outcome === "unknown" || (error.outcome === "acted" && error._tag === "TransportError"))

const encodeCreateRequest = Input.encoder(Wire.CreateRequest)

const checkKey = Input.encoder(Schema.Struct({ key: Schema.UndefinedOr(IdempotencyKey) }))

/** A new session as it will be requested: what the caller changes in its options from here on has no effect. */
export interface PreparedCreate {
  readonly agent: string
  readonly model: string | null | undefined
  readonly body: HttpBody.HttpBody
  /** The same without an agent, where the caller asked for none. */
  readonly withoutAgent: HttpBody.HttpBody | undefined
  readonly secrets: ReadonlyArray<string>
  /** The caller's own. */
  readonly key: string | undefined
  /** The options given that need a feature, by the feature. */
  readonly needs: ReadonlyArray<readonly [feature: string, option: string]>
}

/** The fields of an MCP server that are given. */
const toServer = ({ headers, name, url }: McpServer) => ({ name, url, ...(headers === undefined ? {} : { headers }) })

/** The values of the headers of MCP servers, which are secret. */
const headersOf = (servers: Wire.CreateRequestEncoded["mcp_servers"]): ReadonlyArray<string> =>
  (servers ?? []).flatMap(({ headers = {} }) => Object.values(headers))

/** The fields of a workspace that are given. */
const withoutUndefined = ({ mode, name, ref }: Workspace) => ({
  name,
  ...(mode === undefined ? {} : { mode }),
  ...(ref === undefined ? {} : { ref })
})

/** Encodes a new session; its agent is always sent, other options only where they are given. */
export const prepareCreate = Effect.fnUntraced(function* (
  options: SessionOptions = {}
): Effect.fn.Return<PreparedCreate, ApiError<422>> {
  const wire = yield* encodeCreateRequest(create, () => {
    const { agent = "claude", effort, mcpServers, meta, model, system, systemMode, workspace } = options
    return {
      agent,
      ...(meta === undefined ? {} : { meta }),
      ...(model === undefined ? {} : { model }),
      ...(system === undefined ? {} : { system }),
      ...(systemMode === undefined ? {} : { systemMode }),
      ...(effort === undefined ? {} : { effort }),
      ...(workspace === undefined ? {} : { workspace: withoutUndefined(workspace) }),
      ...(mcpServers === undefined ? {} : { mcpServers: mcpServers.map(toServer) })
    }
  })
  const { key } = yield* checkKey(create, () => ({ key: options.key }))
  const { agent = "claude", ...rest } = wire
  return {
    agent,
    model: wire.model,
    body: HttpBody.jsonUnsafe(wire),
    withoutAgent: options.agent === undefined ? HttpBody.jsonUnsafe(rest) : undefined,
    key,
    secrets: [...(wire.system ? [wire.system] : []), ...headersOf(wire.mcp_servers)],
    needs: [
      ...(wire.system === undefined ? [] : [["session_options", "system"] as const]),
      ...(wire.system_mode === undefined ? [] : [["session_options", "systemMode"] as const]),
      ...(wire.effort === undefined ? [] : [["session_options", "effort"] as const]),
      ...(wire.workspace === undefined ? [] : [["workspaces", "workspace"] as const]),
      ...(wire.mcp_servers === undefined ? [] : [["mcp_servers", "mcpServers"] as const])
    ]
  }
})

/** Whether a create was refused for its agent: the server has none of that name. */
export const isAgentRefused = (error: CreateError): boolean =>
  ApiError.is(422)(error) &&
  error.outcome !== "not-sent" &&
  error.reason.issues.some(({ path }) => path[0] === "body" && path[1] === "agent")

/** Refuses options that the server would ignore without a word. */
export const refuseOptions = (operation: Operation<Status, unknown>, names: ReadonlyArray<string>) =>
  Input.refuse(
    callOf(operation),
    names.map((name) => ({ path: [name], message: "is not supported by this server" }))
  )

const encodeSessionId = Input.encoder(Schema.Struct({ sessionId: SessionId }))

/** Refuses what is not the id of a session, before it goes into a path. */
export const checkId = (sessionId: string) => encodeSessionId(get, () => ({ sessionId }))
