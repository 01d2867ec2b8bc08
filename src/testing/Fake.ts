/**
 * Values of the client for tests: errors, turns, and sessions for those who replace the service itself. Each takes what the
 * test is about, and has a default for the rest.
 *
 * **Example** (A client that fails)
 *
 * ```ts
 * import { Effect, Layer } from "effect"
 * import { ForgeClient } from "effect-clawdforge"
 * import { Fake } from "effect-clawdforge/testing"
 *
 * const full = Layer.mock(ForgeClient.ForgeClient, {
 *   session: () => Effect.fail(Fake.poolFull())
 * })
 * ```
 */
import { DateTime, Duration, Effect, Redacted, Stream } from "effect"
import type { Agent } from "../Agents.ts"
import * as ForgeError from "../ForgeError.ts"
import type { Health } from "../Health.ts"
import type { Run } from "../Run.ts"
import type { Session } from "../Session.ts"
import { type LiveState, sessionId, type SessionInfo } from "../SessionInfo.ts"
import * as Turn from "../Turn.ts"
import * as TurnEvent from "../TurnEvent.ts"
import { fileToken, type UploadedFile } from "../Upload.ts"
import { features } from "../wire/Features.ts"

type Call = "file" | "message" | "method" | "operation" | "path" | "requestId"

const id = sessionId("fake-session")

const call = { operation: "Session.turn", method: "POST", path: `/sessions/${id}/turn`, requestId: undefined }

// ---------------------------------------------------------------------------------------------------------------------
// Errors
// ---------------------------------------------------------------------------------------------------------------------

export const authError = (fields: Partial<Pick<ForgeError.AuthError, Call | "status">> = {}) =>
  new ForgeError.AuthError({ ...call, status: 401, message: "invalid token", ...fields })

const unexpected = (status: number) => () => new ForgeError.Unexpected({ status, body: Redacted.make("") })

/** The reason of each status that a test does not name. */
const reasons: { readonly [S in ForgeError.Status]: () => ForgeError.Reasons[S] } = {
  400: unexpected(400),
  404: () => new ForgeError.NotFound({ resource: "session" }),
  409: () => new ForgeError.TokenExists(),
  410: unexpected(410),
  412: () => new ForgeError.FileChanged(),
  413: () => new ForgeError.TooLarge(),
  422: () => new ForgeError.Invalid({ issues: [] }),
  429: () => new ForgeError.RateLimited(),
  500: unexpected(500),
  502: unexpected(502),
  503: unexpected(503)
}

/** An `ApiError` of a status, with the reason that goes with it. */
export const apiError = <S extends ForgeError.Status>(
  status: S,
  fields: Partial<Pick<ForgeError.ApiError<S>, Call | "outcome" | "reason" | "retryAfter">> = {}
) =>
  new ForgeError.ApiError<S>({
    ...call,
    status,
    outcome: status >= 500 ? "unknown" : "refused",
    retryAfter: undefined,
    message: `HTTP ${status}`,
    reason: reasons[status](),
    ...fields
  })

/** 422: an input is invalid. */
export const invalid = (message = "must be valid", path: ReadonlyArray<string | number> = ["prompt"]) =>
  apiError(422, {
    message: `${path.join(".")} ${message}`,
    reason: new ForgeError.Invalid({ issues: [{ path, message }] })
  })

/** 429: the app does too much at once. */
export const rateLimited = (retryAfter: Duration.Input = "1 second") =>
  apiError(429, {
    message: "too many requests",
    retryAfter: Duration.fromInputUnsafe(retryAfter),
    reason: new ForgeError.RateLimited()
  })

/** 404: it does not exist. */
export const notFound = (resource: ForgeError.NotFound["resource"] = "session") =>
  apiError(404, { message: `${resource} not found`, reason: new ForgeError.NotFound({ resource }) })

/** 502: the agent failed. */
export const runFailed = (
  error = "the agent failed",
  fields: Partial<Omit<ForgeError.RunFailed, "_tag" | "error">> = {}
) =>
  apiError(502, {
    message: error,
    outcome: "acted",
    reason: new ForgeError.RunFailed({
      error,
      stderr: Redacted.make(""),
      duration: Duration.seconds(1),
      stopReason: "error",
      ...fields
    })
  })

/** 503: the server has no room. */
export const poolFull = (retryAfter: Duration.Input = "5 seconds") =>
  apiError(503, {
    message: "session pool is full",
    outcome: "refused",
    retryAfter: Duration.fromInputUnsafe(retryAfter),
    reason: new ForgeError.PoolFull()
  })

/** There was no response; the connection broke, if no other reason is given. */
export const transportError = (fields: Partial<Pick<ForgeError.TransportError, Call | "outcome" | "reason">> = {}) =>
  new ForgeError.TransportError({
    ...call,
    message: "the connection broke before the answer was whole",
    outcome: "unknown",
    reason: new ForgeError.Reset({ code: "ECONNRESET" }),
    ...fields
  })

export const sessionClosed = (fields: Partial<Pick<ForgeError.SessionClosed, "by" | "sessionId">> = {}) =>
  new ForgeError.SessionClosed({ sessionId: id, by: "server", ...fields })

// ---------------------------------------------------------------------------------------------------------------------
// Values
// ---------------------------------------------------------------------------------------------------------------------

/** A turn that said a text. */
export const turn = (text: string, fields: Partial<Omit<Turn.Turn, "text">> = {}): Turn.Turn =>
  Turn.make({
    sessionId: id,
    index: 1,
    events: text === "" ? [] : [TurnEvent.Text({ content: text })],
    stopReason: "end_turn",
    duration: Duration.seconds(1),
    ...fields
  })

/** A run with a result. */
export const run = (result: Run["result"], fields: Partial<Omit<Run, "result">> = {}): Run => ({
  result,
  duration: Duration.seconds(1),
  stopReason: "end_turn",
  ...fields
})

/** An answer that was decoded. */
export const structured = <A>(
  value: A,
  fields: Partial<Omit<Turn.Structured<A>, "value">> = {}
): Turn.Structured<A> => ({
  value,
  turn: turn(JSON.stringify(value)),
  attempts: 1,
  usage: undefined,
  ...fields
})

/** The parts of a stream that says a text, and ends with its turn. */
export const parts = (text: string, fields?: Parameters<typeof turn>[1]): ReadonlyArray<Turn.Part> => {
  const ended = turn(text, fields)
  return [...ended.events, Turn.Done({ turn: ended })]
}

export const uploadedFile = (fields: Partial<UploadedFile> = {}): UploadedFile => ({
  token: fileToken("ff_fake-token-0000000000"),
  size: 0,
  timeToLive: Duration.hours(1),
  ...fields
})

export const agent = (fields: Partial<Agent> = {}): Agent => ({
  name: "claude",
  default: true,
  ready: true,
  features: {},
  ...fields
})

/** The health of a server that has every feature. */
export const health = (fields: Partial<Health> = {}): Health => ({ ok: true, claudePresent: true, features, ...fields })

export const sessionInfo = (fields: Partial<SessionInfo> = {}): SessionInfo => ({
  id,
  agent: "claude",
  model: null,
  cwd: "/",
  createdAt: DateTime.makeUnsafe(0),
  ...fields
})

export const liveState = (fields: Partial<LiveState> = {}): LiveState => ({
  ...sessionInfo(),
  lastTurnAt: null,
  turnCount: 0,
  closedAt: null,
  meta: null,
  live: true,
  ...fields
})

/**
 * A session for a test that replaces the service. What it is not given is a defect when it is called, but for the parts
 * that need no answer: closing it succeeds, and there is never a turn to cancel.
 *
 * **Example** (A session that answers in capitals)
 *
 * ```ts
 * import { Effect } from "effect"
 * import { Fake } from "effect-clawdforge/testing"
 *
 * const loud = Fake.session({ turn: (prompt) => Effect.succeed(Fake.turn(prompt.toUpperCase())) })
 * ```
 */
export const session = (does: Partial<Session> = {}): Session => {
  const missing = (method: string) => new Error(`Fake.session was not given ${method}, which the program calls`)
  const info = does.info ?? sessionInfo()
  return {
    info,
    id: info.id,
    turn: () => Effect.die(missing("turn")),
    turnAs: () => Effect.die(missing("turnAs")),
    stream: () => Stream.die(missing("stream")),
    state: Effect.succeed(liveState(info)),
    diff: Effect.succeed(""),
    files: {
      list: () => Effect.die(missing("files.list")),
      read: () => Stream.die(missing("files.read")),
      write: () => Effect.die(missing("files.write"))
    },
    cancel: Effect.succeed(false),
    close: Effect.void,
    closed: Effect.never,
    ...does
  }
}
