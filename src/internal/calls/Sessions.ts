/**
 * The calls that open, show and close sessions.
 */
import { Duration, Effect, Schema } from "effect"
import { SessionId } from "../../wire/Ids.ts"
import * as Wire from "../../wire/Sessions.ts"
import { ApiError, type CloseError, type Status } from "../../ForgeError.ts"
import type { LiveState, SessionInfo, SessionOptions, SessionState } from "../../SessionInfo.ts"
import * as Input from "./Input.ts"
import { callDeadline, callOf, decodeTo, decoder, define, type Operation } from "./Operation.ts"

const toInfo = (created: Wire.Created): SessionInfo => ({
  id: created.sessionId,
  agent: created.agent,
  model: created.model,
  cwd: created.cwd,
  createdAt: created.createdAt
})

/** `POST /sessions`. */
export const create = define({
  deadline: Duration.seconds(60),
  name: "Forge.session",
  method: "POST",
  path: Wire.path,
  statuses: [413, 422, 502],
  keyed: true,
  decode: decodeTo(decoder(Wire.Created), toInfo)
})

/** Whether an answer names a session that was made, whatever else is wrong with it. */
export const namesSession = Schema.is(Schema.Struct({ session_id: SessionId }))

const toState = (row: Wire.Row): SessionState => ({
  id: row.sessionId,
  appName: row.appName,
  agent: row.agent,
  model: row.model,
  cwd: row.cwd,
  createdAt: row.createdAt,
  lastTurnAt: row.lastTurnAt,
  turnCount: row.turnCount,
  closedAt: row.closedAt,
  meta: row.meta
})

/** `GET /sessions`. */
export const list = define({
  deadline: callDeadline,
  name: "Forge.sessions",
  method: "GET",
  path: Wire.path,
  statuses: [],
  decode: decodeTo(decoder(Wire.List), ({ sessions }) => sessions.map(toState))
})

/** `GET /sessions/{id}`. */
export const get = define({
  deadline: callDeadline,
  name: "Session.state",
  method: "GET",
  path: `${Wire.path}/{id}`,
  statuses: [404, 422],
  decode: decodeTo(decoder(Wire.State), (state): LiveState => ({ ...toState(state), live: state.live }))
})

/** `DELETE /sessions/{id}`. */
export const close = define({
  deadline: Duration.seconds(5),
  name: "Session.close",
  method: "DELETE",
  path: `${Wire.path}/{id}`,
  statuses: [404, 422],
  // What else stands there tells nothing more.
  decode: decodeTo(decoder(Schema.Struct({ ok: Schema.Literal(true) })), () => undefined)
})

/** A server that says that it is done, and that there is no more to say. */
const saysNoMore = (error: CloseError): boolean =>
  error._tag === "TransportError" && error.reason._tag === "Malformed" && error.reason.status === 204

/** Only a server of the contract knows: a proxy answers 404 for a route that it does not have. */
const isGone = (error: CloseError): boolean =>
  ApiError.is(404)(error) && error.reason._tag === "NotFound" && error.reason.resource === "session"

/**
 * Takes a close that failed, and after which the session is closed, for one that did not: a 204, and of a session that
 * this program created also that it is gone.
 */
export const acceptClosed = (close: Effect.Effect<void, CloseError>, { owned }: { readonly owned: boolean }) =>
  Effect.catchIf(
    close,
    (error) => saysNoMore(error) || (owned && isGone(error)),
    () => Effect.void
  )

const encodeCreateRequest = Input.encoder(Wire.CreateRequest)

/** The body of a new session: the agent always, and nothing that was not given. */
export const encodeCreate = (options: SessionOptions) =>
  encodeCreateRequest(create, () => {
    const { agent = "claude", effort, meta, model, system, systemMode } = options
    return {
      agent,
      ...(meta === undefined ? {} : { meta }),
      ...(model === undefined ? {} : { model }),
      ...(system === undefined ? {} : { system }),
      ...(systemMode === undefined ? {} : { systemMode }),
      ...(effort === undefined ? {} : { effort })
    }
  })

const additions = ["system", "systemMode", "effort"] as const

/** The options given that only a server which names `session_options` would look at. */
export const addedOptions = (options: SessionOptions) => additions.filter((name) => options[name] !== undefined)

/** Refuses them, since the server would open the session without them and say nothing. */
export const refuseAdded = (options: SessionOptions) =>
  Input.refuse(
    callOf(create),
    addedOptions(options).map((name) => ({ path: [name], message: "is not supported by this server" }))
  )

const encode = Input.encoder(Schema.Struct({ sessionId: SessionId }))

/** A session id as a path can carry it. */
export const encodeId = (operation: Operation<Status, unknown>, sessionId: string) =>
  Effect.map(
    encode(operation, () => ({ sessionId })),
    (encoded) => encoded.sessionId
  )
