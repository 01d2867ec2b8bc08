/**
 * The calls of the contract as this client makes them: their names, methods, paths and statuses, and how an answer
 * becomes a value of the public types.
 */
import { Duration, Redacted, Result } from "effect"
import * as HealthWire from "../api/schema/Health.ts"
import { SessionId } from "../api/schema/Ids.ts"
import * as Sessions from "../api/schema/Sessions.ts"
import * as TurnEvents from "../api/schema/TurnEvents.ts"
import * as Turns from "../api/schema/Turns.ts"
import type { Status } from "../ForgeError.ts"
import type { Health } from "../Health.ts"
import type { LiveState, SessionInfo, SessionOptions, SessionState } from "../SessionInfo.ts"
import * as Turn from "../Turn.ts"
import * as Input from "./Input.ts"
import { decoder, type Operation } from "./Operation.ts"

const define = <const S extends Status, A>(operation: Operation<S, A>): Operation<S, A> => operation

/** A decoder whose result is turned into a value of the public types. */
const decodeTo =
  <A, B>(decode: (json: unknown) => Result.Result<A, string>, to: (value: A) => B) =>
  (json: unknown): Result.Result<B, string> =>
    Result.map(decode(json), to)

const toHealth = (health: HealthWire.Health): Health => ({
  ok: health.ok,
  claudePresent: health.claudePresent,
  claudeVersion: health.claudeVersion,
  acpxPresent: health.acpxPresent,
  acpxVersion: health.acpxVersion,
  openSessions: health.openSessions,
  features: health.features
})

/** `GET /healthz`, which goes without a token. */
export const health = define({
  name: "Forge.health",
  method: "GET",
  path: HealthWire.path,
  statuses: [],
  anonymous: true,
  decode: decodeTo(decoder(HealthWire.Health), toHealth)
})

const toInfo = (created: Sessions.Created): SessionInfo => ({
  id: created.sessionId,
  agent: created.agent,
  model: created.model,
  cwd: created.cwd,
  createdAt: created.createdAt
})

/** `POST /sessions`. */
export const createSession = define({
  name: "Forge.session",
  method: "POST",
  path: Sessions.path,
  statuses: [413, 422, 502],
  decode: decodeTo(decoder(Sessions.Created), toInfo)
})

const toState = (row: Sessions.Row): SessionState => ({
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
export const listSessions = define({
  name: "Forge.sessions",
  method: "GET",
  path: Sessions.path,
  statuses: [],
  decode: decodeTo(decoder(Sessions.List), ({ sessions }) => sessions.map(toState))
})

/** `GET /sessions/{id}`. */
export const getSession = define({
  name: "Session.state",
  method: "GET",
  path: `${Sessions.path}/{id}`,
  statuses: [404, 422],
  decode: decodeTo(decoder(Sessions.State), (state): LiveState => ({ ...toState(state), live: state.live }))
})

/** `DELETE /sessions/{id}`. */
export const closeSession = define({
  name: "Session.close",
  method: "DELETE",
  path: `${Sessions.path}/{id}`,
  statuses: [404, 422],
  decode: decodeTo(decoder(Sessions.Closed), () => undefined)
})

const toTurn = (turn: Turns.TurnResponse): Turn.Turn =>
  Turn.make({
    sessionId: turn.sessionId,
    index: turn.turnIndex,
    events: TurnEvents.decode(turn.events),
    stopReason: turn.stopReason,
    duration: turn.duration,
    usage: turn.usage
  })

/** `POST /sessions/{id}/turn`. */
export const turn = define({
  name: "Session.turn",
  method: "POST",
  path: `${Sessions.path}/{id}/turn`,
  statuses: [404, 413, 422, 502],
  decode: decodeTo(decoder(Turns.TurnResponse), toTurn)
})

// ---------------------------------------------------------------------------------------------------------------------
// Inputs
// ---------------------------------------------------------------------------------------------------------------------

/** A session id as a path can carry it. */
export const encodeSessionId = (operation: Operation<Status, unknown>, id: string) => encodeId(operation, id)

const encodeId = Input.encoder(SessionId)

/** The body of a new session: the agent always, and nothing that was not given. */
export const encodeCreate = ({ agent = "claude", meta, model }: SessionOptions) =>
  encodeCreateRequest(createSession, {
    agent,
    ...(meta === undefined ? {} : { meta }),
    ...(model === undefined ? {} : { model })
  })

const encodeCreateRequest = Input.encoder(Sessions.CreateRequest)

/** The body of a turn: its timeout always, one second at least. */
export const encodeTurn = (prompt: string, options: Turn.TurnOptions = {}) =>
  encodeTurnRequest(turn, {
    prompt,
    timeout: Duration.max(timeoutOf(options), Duration.seconds(1)),
    ...(options.files === undefined ? {} : { files: options.files.map(Redacted.value) })
  })

const encodeTurnRequest = Input.encoder(Turns.TurnRequest)

/** How long an agent may work on a turn. */
export const timeoutOf = ({ timeout = "2 minutes" }: Turn.TurnOptions): Duration.Duration =>
  Duration.fromInputUnsafe(timeout)
