/**
 * What the fake answers to a prompt.
 */
import { Duration, type Schema } from "effect"
import { sentences } from "../wire/Failures.ts"
import type { TurnEvent } from "../wire/TurnEvent.ts"
import type { Usage } from "../wire/Usage.ts"

/** The agent answers. */
export interface Answered {
  readonly _tag: "Answered"
  readonly events: ReadonlyArray<TurnEvent>
  readonly stopReason: string
  readonly usage: Usage | undefined
  readonly delay: Duration.Duration
  readonly pace: Duration.Duration
  readonly writes: Readonly<Record<string, string>>
  /** The connection breaks, once, after so many bytes of the body. */
  readonly resetAt?: number | undefined
}

/** The agent fails. */
export interface AgentFails {
  readonly _tag: "AgentFails"
  readonly error: string
  readonly stderr: string
  readonly stopReason: "cancelled" | "error" | "timeout"
  readonly events: ReadonlyArray<TurnEvent>
  readonly delay: Duration.Duration
}

/** The agent does not get the prompt: the request is answered so instead. */
export interface Refused {
  readonly _tag: "Refused"
  readonly status: number
  readonly headers: Readonly<Record<string, string>>
  readonly body: string | undefined
  readonly delay: Duration.Duration
}

/** The session is closed by the server before the agent gets the prompt. */
export interface SessionGone {
  readonly _tag: "SessionGone"
}

/** The agent does not get the prompt: the connection breaks before a byte of an answer. */
export interface ConnectionReset {
  readonly _tag: "ConnectionReset"
  readonly delay: Duration.Duration
}

/** The agent does not get the prompt: the connection stays open without an answer. */
export interface Silence {
  readonly _tag: "Silence"
}

/** A proxy gives up on the request, while the agent works on it. */
export interface ProxyGaveUp {
  readonly _tag: "ProxyGaveUp"
  readonly page: Refused
  readonly reply: Answered | AgentFails
}

export type Reply = Answered | AgentFails | Refused | SessionGone | ConnectionReset | Silence | ProxyGaveUp

/** How an answer is given. */
export interface AnswerOptions {
  /** `end_turn` if not given. */
  readonly stopReason?: string | undefined
  readonly usage?: Usage | undefined
  /** How long the agent takes after its last event. It runs out of time like a real one. */
  readonly delay?: Duration.Input | undefined
  /** How long it takes before each event. */
  readonly pace?: Duration.Input | undefined
  /** The texts of files that it writes into its folder, by their path. */
  readonly writes?: Readonly<Record<string, string>> | undefined
}

const durationOf = (input: Duration.Input | undefined) => Duration.fromInputUnsafe(input ?? 0)

/** The agent's turn has these events. */
export const events = (events: ReadonlyArray<TurnEvent>, options: AnswerOptions = {}): Answered => ({
  _tag: "Answered",
  events,
  stopReason: options.stopReason ?? "end_turn",
  usage: options.usage,
  delay: durationOf(options.delay),
  pace: durationOf(options.pace),
  writes: options.writes ?? {}
})

/** A text in the chunks in which a model would write it, a few words each. */
const chunksOf = (text: string): ReadonlyArray<string> => text.match(/(?:\S+\s*){1,3}|\s+/gu) ?? []

/** The agent says a text. */
export const text = (text: string, options?: AnswerOptions): Answered =>
  events(
    chunksOf(text).map((content): TurnEvent => ({ _tag: "Text", content })),
    options
  )

const answered = <R extends Reply>(reply: R | string) => (typeof reply === "string" ? text(reply) : reply)

/** The agent says a value as JSON. */
export const json = (value: Schema.Json, options?: AnswerOptions): Answered => text(JSON.stringify(value), options)

/** How an agent fails. */
export interface FailureOptions {
  readonly stderr?: string | undefined
  /** `error` if not given. */
  readonly stopReason?: AgentFails["stopReason"] | undefined
  /** What it did before. */
  readonly events?: ReadonlyArray<TurnEvent> | undefined
  /** How long it takes after its last event. */
  readonly delay?: Duration.Input | undefined
}

/** The agent gets the prompt and fails: `ApiError<502>` with the reason `RunFailed`. */
export const runFailed = (error: string, options: FailureOptions = {}): AgentFails => ({
  _tag: "AgentFails",
  error,
  stderr: options.stderr ?? "",
  stopReason: options.stopReason ?? "error",
  events: options.events ?? [],
  delay: durationOf(options.delay)
})

/** The request is answered with a status and a JSON body, which a 204 has not, and nothing is done. */
export const status = (
  status: number,
  body: Schema.Json,
  options: { readonly headers?: Readonly<Record<string, string>>; readonly delay?: Duration.Input } = {}
): Refused => ({
  _tag: "Refused",
  status,
  headers: { "content-type": "application/json", ...options.headers },
  body: status === 204 ? undefined : JSON.stringify(body),
  delay: durationOf(options.delay)
})

const retryable = (code: number, detail: string, seconds: string) =>
  status(code, { detail }, { headers: { "retry-after": seconds } })

/** 401: the token is not valid. */
export const unauthorized: Refused = status(401, { detail: sentences.invalidToken })

/** 404: there is no such session. */
export const notFound: Refused = status(404, { detail: sentences.sessionNotFound })

/** 422: the server finds a field of the request's body invalid. */
export const invalid = (field: string, problem: string): Refused =>
  status(422, { detail: [{ loc: ["body", field], msg: problem, type: "value_error" }] })

/** 429: the app does too much at once. */
export const tooMany: Refused = retryable(429, sentences.tooMany, "1")

/** 503: the server has no room for another session or process. */
export const poolFull: Refused = retryable(503, sentences.poolFull, "5")

/** 503: the server is shutting down. */
export const shuttingDown: Refused = retryable(503, sentences.shuttingDown, "5")

/** 410: the server has closed the session. It is then closed for every call. */
export const sessionClosed: SessionGone = { _tag: "SessionGone" }

/** The connection breaks before a byte of an answer, and the agent does not get the prompt. */
export const reset: ConnectionReset = { _tag: "ConnectionReset", delay: Duration.zero }

/** The agent answers, and the connection breaks, once, after so many bytes of the body. */
export const resetAt = (bytes: number, reply: Answered | string): Answered => ({ ...answered(reply), resetAt: bytes })

/** The connection stays open without an answer, and the agent does not get the prompt. */
export const hang: Silence = { _tag: "Silence" }

/** A proxy answers with a page of its own, 502 or 504. With a reply the agent works on it all the same. */
export function proxy(status: number): Refused
export function proxy(status: number, reply: Answered | AgentFails | string): ProxyGaveUp
export function proxy(status: number, reply?: Answered | AgentFails | string): Refused | ProxyGaveUp {
  const page: Refused = {
    _tag: "Refused",
    status,
    headers: { "content-type": "text/html" },
    body: `<html><head><title>${status}</title></head><body><h1>${status}</h1><hr>proxy</body></html>`,
    delay: Duration.zero
  }
  return reply === undefined ? page : { _tag: "ProxyGaveUp", page, reply: answered(reply) }
}
