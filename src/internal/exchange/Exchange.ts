/**
 * One call to a clawdforge server: its request, the response within a deadline, retries as far as they are harmless, and
 * the error that all of it failed with.
 */
import { type Deferred, Duration, Effect, Redacted, Scope, type Stream } from "effect"
import { type HttpBody, type HttpClient, HttpClientRequest } from "effect/http"
import type { Status, TransportError } from "../../ForgeError.ts"
import type { SessionId } from "../../SessionInfo.ts"
import * as Health from "../calls/Health.ts"
import { callOf, type Operation, type StreamedOperation } from "../calls/Operation.ts"
import type { CallError } from "../failure/ResponseFailure.ts"
import * as StreamFailure from "../failure/StreamFailure.ts"
import * as TransportFailure from "../failure/TransportFailure.ts"
import * as RequestSpan from "../telemetry/RequestSpan.ts"
import * as Download from "./Download.ts"
import * as EventStreamReader from "./EventStreamReader.ts"
import * as HttpTransport from "./HttpTransport.ts"
import * as JsonReader from "./JsonReader.ts"
import * as OpenResponse from "./OpenResponse.ts"
import { randomHex } from "../Random.ts"
import * as Retry from "./Retry.ts"
import * as StreamedCall from "./StreamedCall.ts"

/** What differs from one call of an operation to the next. */
export interface CallOptions extends Pick<JsonReader.Options<unknown>, "onUndecodable"> {
  /** The path as it is sent; the operation's own if not given. */
  readonly path?: string | undefined
  /** With its question mark. */
  readonly query?: string | undefined
  /** Headers of its own. */
  readonly headers?: Readonly<Record<string, string>> | undefined
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
  /** Whether an event stream is accepted as well as JSON, where the operation has one. */
  readonly acceptsEvents?: boolean | undefined
  /** The caller's own key, or that of another call that this one is about. A keyed operation makes one if not given. */
  readonly key?: string | undefined
  /** Runs with the call's key when it is interrupted while the server may be working on it. */
  readonly onAbandoned?: ((key: string) => Effect.Effect<void>) | undefined
}

/** The calls to one server. */
export interface Exchange {
  /** Sends a call, a keyed POST under a key of its own, and retries it as far as that is harmless. */
  readonly send: <S extends Status, A>(
    operation: Operation<S, A>,
    options: CallOptions
  ) => Effect.Effect<A, CallError<S>>
  /** The same for a call whose events are read as they happen. It ends with the scope. */
  readonly stream: <S extends Status, A>(
    operation: StreamedOperation<S, A>,
    options: StreamOptions
  ) => Effect.Effect<EventStreamReader.Items<A, CallError<S>>, never, Scope.Scope>
  /** The body of a call that only reads, as it arrives. Its deadline is that of the head. */
  readonly download: <S extends Status>(
    operation: Operation<S, unknown>,
    options: CallOptions & Download.Part
  ) => Stream.Stream<Uint8Array, CallError<S> | TransportError>
}

export interface StreamOptions extends Omit<
  CallOptions,
  "abandoned" | "acceptsEvents" | "onUndecodable" | "repeatable"
> {
  /** How long to wait for each event; as long as for the whole answer if not given. */
  readonly idle?: Duration.Duration | undefined
}

export interface Options extends HttpTransport.Options {
  readonly bounds: Retry.Bounds
  /** Whether requests carry the `traceparent` of their span. */
  readonly propagateTrace: boolean
}

const healthDeadline = Duration.seconds(10)

/** A server without event streams answers with JSON. */
const acceptEvents = "text/event-stream, application/json;q=0.9"

/** Makes the calls of one server. */
export const make = Effect.fnUntraced(function* (
  options: Options
): Effect.fn.Return<Exchange, never, HttpClient.HttpClient> {
  const transport = yield* HttpTransport.make(options)
  const { origin } = options.url
  const server = RequestSpan.server(options.url)
  const token = Redacted.value(options.token)
  const newKey = keySequence()

  /** Prepares a request once; each attempt opens a response to it under a span of its own. */
  const prepare = <S extends Status, A>(
    operation: Operation<S, A>,
    callOptions: CallOptions,
    key: string | undefined
  ) => {
    const { body, headers = {}, path = operation.path, query = "", secrets = [], sessionId } = callOptions
    const call = callOf(operation, { path, file: callOptions.file })
    const httpRequest = HttpClientRequest.make(operation.method)(path + query, {
      headers: key === undefined ? headers : { ...headers, "idempotency-key": key },
      body
    })
    const opening = { call, operation, origin, secrets: [token, ...secrets], sessionId }
    const open = Effect.fnUntraced(function* (
      { retries, ...prior }: Retry.PriorAttempts,
      headers: Readonly<Record<string, string>>
    ) {
      const { onStatus, traceparent } = yield* RequestSpan.begin(operation, { retries, server })
      const sent = HttpClientRequest.setHeaders(
        httpRequest,
        traceparent === undefined || !options.propagateTrace ? headers : { ...headers, traceparent }
      )
      return yield* OpenResponse.open(transport, sent, { ...opening, ...prior, onStatus })
    })
    const deadline = callOptions.deadline ?? operation.deadline
    return { call, deadline, onDeadline: TransportFailure.timeout(call, origin, deadline), open }
  }

  /** Sends a call once, within its deadline. */
  const attemptOf = <S extends Status, A>(
    operation: Operation<S, A>,
    callOptions: CallOptions,
    key: string | undefined
  ): Retry.Attempt<A, CallError<S>> => {
    const { deadline, onDeadline, open } = prepare(operation, callOptions, key)
    const json = { decode: operation.decode, onUndecodable: callOptions.onUndecodable }
    const once = (prior: Retry.PriorAttempts, acceptsEvents: boolean): Effect.Effect<A, CallError<S>> =>
      open(prior, acceptsEvents ? { accept: acceptEvents } : {}).pipe(
        Effect.flatMap((response) =>
          isStreamed(operation) && EventStreamReader.isEventStream(response)
            ? EventStreamReader.answer(response, operation)
            : JsonReader.read(response, json)
        ),
        Effect.timeoutOrElse({ duration: deadline, orElse: () => Effect.fail<CallError<S>>(onDeadline) }),
        Effect.scoped
      )
    if (callOptions.acceptsEvents !== true) return (prior) => once(prior, false)
    return (prior) => orWhole(once(prior, true), once(prior, false))
  }

  /** Asked anew each time: the server behind an address can change. */
  const supportsIdempotency = Effect.suspend(() =>
    attemptOf(Health.get, { deadline: healthDeadline }, undefined)(Retry.firstAttempt)
  ).pipe(Effect.map(({ features }) => features.includes("idempotency")))

  const retryable = <S extends Status, A>(operation: Operation<S, A>, callOptions: CallOptions) => {
    const key = callOptions.key ?? (operation.keyed === true ? newKey() : undefined)
    const onAbandoned = key === undefined ? undefined : callOptions.onAbandoned?.(key)
    const { abandoned, deadline = operation.deadline } = callOptions
    return { key, call: { kind: kindOf(operation), deadline, supportsIdempotency, abandoned, onAbandoned } }
  }

  return {
    send: (operation, callOptions) =>
      Effect.suspend(() => {
        const { call, key } = retryable(operation, callOptions)
        const attempt = attemptOf(operation, callOptions, key)
        return callOptions.repeatable === false
          ? attempt(Retry.firstAttempt)
          : Retry.run({ ...call, attempt }, options.bounds)
      }),
    download: <S extends Status>(
      operation: Operation<S, unknown>,
      { etag, length, offset, ...callOptions }: CallOptions & Download.Part
    ) => {
      const { call, key } = retryable(operation, callOptions)
      const { deadline, onDeadline, open } = prepare(operation, callOptions, key)
      const opened = Effect.fnUntraced(function* (headers: Readonly<Record<string, string>>) {
        const scope = yield* Effect.scope
        const attempt = (prior: Retry.PriorAttempts): Effect.Effect<Download.Opened, CallError<S>> =>
          open(prior, headers).pipe(
            Scope.provide(scope),
            Effect.timeoutOrElse({ duration: deadline, orElse: () => Effect.fail<CallError<S>>(onDeadline) })
          )
        return yield* Retry.run({ ...call, attempt }, options.bounds)
      })
      return Download.make({ etag, length, offset }, { open: opened, times: options.bounds.times })
    },
    stream: (operation, { idle, ...callOptions }) =>
      Effect.suspend(() => {
        const { call: retried, key } = retryable(operation, callOptions)
        const { call, deadline, onDeadline, open } = prepare(operation, callOptions, key)
        const connect = Effect.fnUntraced(function* (prior: Retry.PriorAttempts, received: EventStreamReader.Received) {
          const after = received.isNumbered ? { "last-event-id": String(received.events.length) } : {}
          const response = yield* open(prior, { accept: acceptEvents, ...after })
          return EventStreamReader.isEventStream(response)
            ? yield* EventStreamReader.read(response, operation, received)
            : yield* EventStreamReader.burst(response, operation, received)
        })
        return StreamedCall.open(
          {
            ...retried,
            connect,
            deadline,
            onDeadline,
            idle: idle === undefined ? undefined : { within: idle, error: StreamFailure.idle(call, idle) }
          },
          options.bounds
        )
      })
  }
})

/** A server that no longer keeps all events still has the whole answer. */
const orWhole = <A, E extends { readonly _tag: string }>(
  streamed: Effect.Effect<A, E>,
  whole: Effect.Effect<A, E>
): Effect.Effect<A, E> =>
  Effect.catchIf(
    streamed,
    (error): boolean => StreamFailure.isGap(error),
    () => whole
  )

const isStreamed = <S extends Status, A>(operation: Operation<S, A>): operation is StreamedOperation<S, A> =>
  operation.streamed !== undefined

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
