/**
 * The bodies of failures, and the sentences in them.
 */
import { Effect, Schema } from "effect"
import { Millis, orNull } from "./Ids.ts"

/** Most failures: one sentence. */
export const Detail = Schema.Struct({ detail: Schema.String })
export type Detail = typeof Detail.Type

/** One thing that is wrong with a request; what was rejected is not repeated. */
export const Issue = Schema.Struct({
  loc: Schema.Array(Schema.Union([Schema.String, Schema.Finite])),
  msg: Schema.String,
  type: Schema.String
})
export type Issue = typeof Issue.Type

/** What effect says of a field that is not there. */
export const missingKey = "Missing key"

/** What is wrong with a field, as the rest of a sentence that its name begins. */
export const problemOf = (message: string): string =>
  message === missingKey ? "is missing" : message.replace(/^Expected /, "must be ").replaceAll(" | ", " or ")

/** The body of a 422. */
export const Invalid = Schema.Struct({ detail: Schema.Array(Issue) })
export type Invalid = typeof Invalid.Type

/** The body of a 422 as other servers write it: with fewer fields, or as sentences alone. */
export const LooselyInvalid = Schema.Struct({
  detail: Schema.NonEmptyArray(
    Schema.Union([Schema.String, Schema.Struct({ loc: Schema.optionalKey(Schema.Unknown), msg: Schema.String })])
  )
})
export type LooselyInvalid = typeof LooselyInvalid.Type

/**
 * The body of a 502: the agent failed. It stands at the top level, not inside `detail`. `ok` and `error` make it the
 * contract's own; the rest may be missing when it is read.
 */
export const RunFailed = Schema.Struct({
  ok: Schema.Literal(false),
  error: Schema.String,
  stderr: Schema.String.pipe(Schema.withDecodingDefaultKey(Effect.succeed(""))),
  duration: Millis.pipe(Schema.withDecodingDefaultKey(Effect.succeed(0))),
  stopReason: orNull(Schema.String)
}).pipe(Schema.encodeKeys({ duration: "duration_ms", stopReason: "stop_reason" }))
export type RunFailed = typeof RunFailed.Type

/** What the error of a 502 begins with where the call may have acted or not. */
const outcomeUnknown = "outcome unknown"

/** The sentences of our own server; a client takes them as proof that a refusal is the contract's own. */
export const sentences = {
  missingBearer: "missing bearer token",
  invalidToken: "invalid token",
  addressNotAllowed: "address not allowed",
  sessionNotFound: "session not found",
  fileNotFound: "file not found",
  fileChanged: "file has changed",
  tokenNotFound: "token not found",
  notFound: "Not Found",
  methodNotAllowed: "Method Not Allowed",
  tokenExists: "token exists",
  sessionClosed: "session is closed",
  tooLarge: "request too large",
  tooMany: "too many requests",
  poolFull: "session pool is full",
  tooManyRuns: "too many runs",
  shuttingDown: "shutting down",
  storageUnavailable: "storage unavailable",
  sessionElsewhere: "the session belongs to another server",
  callElsewhere: "the call of this key runs at another server",
  serverError: "Internal Server Error",
  cutByRestart: `${outcomeUnknown}: the server restarted during this call`,
  cutByFailure: `${outcomeUnknown}: the server failed during this call`,
  callForgotten: `${outcomeUnknown}: the server keeps nothing of this call any more`
} as const

/** Whether the error of a 502 says that the call may have acted or not. */
export const isOutcomeUnknown = (error: string): boolean => error.startsWith(outcomeUnknown)

// Each matches the whole sentence, from its start: a proxy has pools of its own that are full.
const refusals = [
  ["PoolFull", /^(?:live )?session pool (?:is )?full\b/i],
  ["TooManyRuns", /^too many (?:concurrent )?runs\b/i],
  ["ShuttingDown", /^(?:the )?(?:server is )?shutting down\b/i],
  ["StorageUnavailable", /^(?:the )?storage (?:is )?unavailable\b/i],
  // Not `callElsewhere`: that call runs, so it was not refused.
  ["OtherServer", /^the session belongs to another server\b/i]
] as const

/** Which of the contract's refusals the sentence of a 503 is, also in the words of other servers. */
export const refusalOf = (sentence: string): (typeof refusals)[number][0] | undefined =>
  refusals.find(([, pattern]) => pattern.test(sentence))?.[0]
