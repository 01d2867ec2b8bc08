/**
 * One call to a clawdforge server: its request, the response within a deadline, retries as far as they are harmless, and
 * the error that all of it failed with.
 */
import { type Deferred, Duration, Effect, Redacted } from "effect"
import { type HttpBody, type HttpClient, HttpClientRequest } from "effect/http"
import type { Status } from "../../ForgeError.ts"
import type { SessionId } from "../../SessionInfo.ts"
import * as Health from "../calls/Health.ts"
import { callOf, type Operation } from "../calls/Operation.ts"
import type { CallError } from "../failure/ResponseFailure.ts"
import * as TransportFailure from "../failure/TransportFailure.ts"
import * as RequestSpan from "../telemetry/RequestSpan.ts"
import * as HttpTransport from "./HttpTransport.ts"
import * as JsonReader from "./JsonReader.ts"
import * as OpenResponse from "./OpenResponse.ts"
import { randomHex } from "../Random.ts"
import * as Retry from "./Retry.ts"

/** What differs from one call of an operation to the next. */
export interface CallOptions extends Pick<JsonReader.Options<unknown>, "onUndecodable"> {
  /** The path as it is sent; the operation's own if not given. */
  readonly path?: string | undefined
  /** With its question mark. */
  readonly query?: string | undefined
  readonly body?: HttpBody.HttpBody | undefined
  /** The operation's own if not given. */
  readonly deadline?: Duration.Duration | undefined
  /** Whether the request can be sent again as it is; true if not given. */
  readonly repeatable?: boolean | undefined
  /** Completes once the caller has given the call up: it is not retried then. */
  readonly abandoned?: Deferred.Deferred<void> | undefined
  /** Strings that must never appear in errors. */
  readonly secrets?: ReadonlyArray<string> | undefined
  /** The session that the call is about; the contract's 410 is its `SessionClosed`. */
  readonly sessionId?: SessionId | undefined
  /** The name of the file, of an upload. */
  readonly file?: string | undefined
  /** The key of another call that this one is about; a keyed operation makes its own instead. */
  readonly key?: string | undefined
  /** Runs with the call's key when it is interrupted while the server may be working on it. */
  readonly onAbandoned?: ((key: string) => Effect.Effect<void>) | undefined
}

/** Sends a call to one server, a keyed POST under a key of its own, and retries it as far as that is harmless. */
export type Send = <S extends Status, A>(
  operation: Operation<S, A>,
  options: CallOptions
) => Effect.Effect<A, CallError<S>>

export interface Options extends HttpTransport.Options {
  readonly bounds: Retry.Bounds
  /** Whether requests carry the `traceparent` of their span. */
  readonly propagateTrace: boolean
}

const healthDeadline = Duration.seconds(10)

/** Makes the sender of one server. */
export const make = Effect.fnUntraced(function* (
  options: Options
): Effect.fn.Return<Send, never, HttpClient.HttpClient> {
  const transport = yield* HttpTransport.make(options)
  const { origin } = options.url
  const server = RequestSpan.server(options.url)
  const token = Redacted.value(options.token)
  const newKey = keySequence()

  /** Prepares the request once; each attempt sends it under a span and a deadline of its own. */
  const prepare = <S extends Status, A>(
    operation: Operation<S, A>,
    callOptions: CallOptions,
    key: string | undefined
  ): Retry.Attempt<A, CallError<S>> => {
    const { body, path = operation.path, query = "", secrets = [], sessionId } = callOptions
    const call = callOf(operation, { path, file: callOptions.file })
    const deadline = callOptions.deadline ?? operation.deadline
    const reader = { decode: operation.decode, onUndecodable: callOptions.onUndecodable }
    const httpRequest = HttpClientRequest.make(operation.method)(path + query, {
      headers: key === undefined ? undefined : { "idempotency-key": key },
      body
    })
    const opening = { call, operation, origin, secrets: [token, ...secrets], sessionId }
    return ({ retries, ...prior }) =>
      RequestSpan.attempt(operation, { retries, server }, ({ onStatus, traceparent }) =>
        OpenResponse.open(
          transport,
          traceparent === undefined || !options.propagateTrace
            ? httpRequest
            : HttpClientRequest.setHeader(httpRequest, "traceparent", traceparent),
          { ...opening, ...prior, onStatus }
        ).pipe(
          Effect.flatMap((response) => JsonReader.read(response, reader)),
          Effect.scoped,
          Effect.timeoutOrElse({
            duration: deadline,
            orElse: () => Effect.fail(TransportFailure.timeout(call, origin, deadline))
          })
        )
      )
  }

  /** Asked anew each time: the server behind an address can change. */
  const supportsIdempotency = Effect.suspend(() =>
    prepare(Health.get, { deadline: healthDeadline }, undefined)(Retry.firstAttempt)
  ).pipe(Effect.map(({ features }) => features.includes("idempotency")))

  return (operation, callOptions) =>
    Effect.suspend(() => {
      const key = operation.keyed === true ? newKey() : callOptions.key
      const attempt = prepare(operation, callOptions, key)
      if (callOptions.repeatable === false) return attempt(Retry.firstAttempt)
      return Retry.run(
        {
          kind: kindOf(operation),
          attempt,
          supportsIdempotency,
          abandoned: callOptions.abandoned,
          onAbandoned: key === undefined ? undefined : callOptions.onAbandoned?.(key)
        },
        options.bounds
      )
    })
})

const kindOf = ({ keyed, method }: Operation<Status, unknown>): Retry.Kind => {
  if (method === "POST") return keyed === true ? "keyed" : "once"
  return method === "GET" ? "safe" : "idempotent"
}

/** Keys that no other call has: random for this client, counted within it. */
const keySequence = (): (() => string) => {
  const client = randomHex(16)
  let calls = 0
  return () => `${client}-${++calls}`
}
