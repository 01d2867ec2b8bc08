/**
 * One call to a clawdforge server: a request, its answer within a deadline, and the error that either failed with.
 */
import { Context, type Deferred, Duration, Effect, Option, identity, Redacted, Result } from "effect"
import {
  FetchHttpClient,
  HttpBody,
  HttpClient,
  type HttpClientError,
  HttpClientRequest,
  type HttpClientResponse
} from "effect/http"
import type { ApiErrors, AuthError, Status, TransportError } from "../../ForgeError.ts"
import * as Body from "./Body.ts"
import * as Failure from "../failure/ResponseFailure.ts"
import { type CallInfo, callOf, type Operation } from "../calls/Operation.ts"
import * as Health from "../calls/Health.ts"
import { randomHex } from "./Random.ts"
import * as Retry from "./Retry.ts"
import * as Tracing from "../telemetry/RequestSpan.ts"
import * as Transport from "../failure/TransportFailure.ts"

/** What differs from call to call. */
export interface Request {
  /** The path as it is sent; the operation's own if not given. */
  readonly path?: string | undefined
  /** With its question mark. */
  readonly query?: string | undefined
  readonly body?: HttpBody.HttpBody | undefined
  /** The operation's own if not given. */
  readonly deadline?: Duration.Duration | undefined
  /** Whether it can be sent again as it is; true if not given. */
  readonly repeatable?: boolean | undefined
  /** Done when nobody waits for the call any more. */
  readonly abandoned?: Deferred.Deferred<void> | undefined
  /** Texts that no error may repeat. */
  readonly secrets?: ReadonlyArray<string> | undefined
  /** Told of a success that is not of its shape: the server acted, and what it made may have to be undone. */
  readonly onMisshapen?: ((json: unknown) => Effect.Effect<void>) | undefined
  /** The key of the call that this one is about; an operation that is keyed has one of its own instead. */
  readonly key?: string | undefined
  /** Run with the key of the call when it is interrupted while the server may be at work on it. */
  readonly onAbandoned?: ((key: string) => Effect.Effect<void>) | undefined
}

/** What a call of these statuses can fail with. */
export type CallError<S extends Status> = AuthError | ApiErrors<S | Failure.Everywhere> | TransportError

/** Sends a call to one server, under a key of its own where it is a POST, and repeats it as far as that is harmless. */
export type Send = <S extends Status, A>(operation: Operation<S, A>, request: Request) => Effect.Effect<A, CallError<S>>

/** What an exchange is made of. */
export interface Options {
  readonly url: URL
  readonly token: Redacted.Redacted
  readonly bounds: Retry.Bounds
}

const healthDeadline = Duration.seconds(10)

/** Makes the sender of one server. */
export const make = Effect.fnUntraced(function* (
  options: Options
): Effect.fn.Return<Send, never, HttpClient.HttpClient> {
  // A request ends with its scope: an answer that comes just as its call is interrupted holds no connection.
  const http = HttpClient.withScope(yield* HttpClient.HttpClient)
  const context = yield* transportContext
  const base = options.url.href.replace(/\/+$/, "")
  const anonymous = { accept: "application/json" }
  const token = Redacted.value(options.token)
  const authorized = { ...anonymous, authorization: `Bearer ${token}` }
  const newKey = keySequence()
  const to = Tracing.server(options.url)

  const request = (
    operation: Operation<Status, unknown>,
    { body, key, path = operation.path, query = "" }: Request
  ): HttpClientRequest.HttpClientRequest => {
    const headers = operation.anonymous ? anonymous : authorized
    return HttpClientRequest.make(operation.method)(base + path + query, {
      headers: key === undefined ? headers : { ...headers, "idempotency-key": key },
      body
    })
  }

  const attempt =
    <S extends Status, A>(
      operation: Operation<S, A>,
      outgoing: Request,
      message: HttpClientRequest.HttpClientRequest
    ) =>
    ({ isOpen, repeats }: Retry.Before): Effect.Effect<A, CallError<S>> => {
      const call = callOf(operation, outgoing.path)
      const deadline = outgoing.deadline ?? operation.deadline
      const secrets = [token, ...(outgoing.secrets ?? [])]
      const unanswered = (error: HttpClientError.HttpClientError): TransportError =>
        Transport.fromHttpClientError(error, call, options.url.origin)
      return Tracing.attempt(operation, { repeats, to }, ({ answered, traceparent }) =>
        http
          .execute(
            traceparent === undefined ? message : HttpClientRequest.setHeader(message, "traceparent", traceparent)
          )
          .pipe(
            Effect.mapError(unanswered),
            Effect.flatMap((response) => {
              answered(response.status)
              return receive(response, operation, {
                call,
                secrets,
                unanswered,
                isOpen,
                onMisshapen: outgoing.onMisshapen
              })
            }),
            Effect.scoped,
            Effect.timeoutOrElse({
              duration: deadline,
              orElse: () => Effect.fail(Transport.timeout(call, deadline))
            })
          )
      ).pipe(Effect.provideContext(context))
    }

  /** Asked anew each time: the server behind an address can change. */
  const remembersKeys = Effect.suspend(() => {
    const asking: Request = { deadline: healthDeadline }
    return attempt(Health.get, asking, request(Health.get, asking))(Retry.nothingBefore)
  }).pipe(
    Effect.map(({ features }) => features.includes("idempotency")),
    Effect.orElseSucceed(() => false)
  )

  return (operation, outgoing) =>
    Effect.suspend(() => {
      const key = operation.keyed ? newKey() : outgoing.key
      const message = request(operation, { ...outgoing, key })
      const once = attempt(operation, outgoing, message)
      if (outgoing.repeatable === false) return once(Retry.nothingBefore)
      return Retry.run(
        {
          kind: kindOf(operation),
          attempt: once,
          remembersKeys,
          abandoned: outgoing.abandoned,
          onAbandoned: key === undefined ? undefined : outgoing.onAbandoned?.(key)
        },
        options.bounds
      )
    })
})

const kindOf = ({ keyed, method }: Operation<Status, unknown>): Retry.Kind => {
  if (method === "POST") return keyed ? "keyed" : "once"
  return method === "GET" ? "safe" : "idempotent"
}

interface Reading extends Pick<Request, "onMisshapen"> {
  readonly call: CallInfo
  readonly isOpen: boolean
  readonly secrets: ReadonlyArray<string>
  readonly unanswered: (error: HttpClientError.HttpClientError) => TransportError
}

/** Whatever stands in an answer, reading it must not end the program with a defect. */
const decodeSafely =
  <A>(operation: Operation<Status, A>) =>
  (json: unknown): Result.Result<A, string> =>
    Result.try({ try: () => operation.decode(json), catch: () => "it cannot be read" }).pipe(Result.flatMap(identity))

/** Those that name another place (RFC 9110, section 15.4), and 0, which is all that `fetch` shows of one. */
const isRedirect = (status: number): boolean => [0, 301, 302, 303, 307, 308].includes(status)

const receive = Effect.fnUntraced(function* <S extends Status, A>(
  response: HttpClientResponse.HttpClientResponse,
  operation: Operation<S, A>,
  { call, isOpen, onMisshapen, secrets, unanswered }: Reading
): Effect.fn.Return<A, CallError<S>> {
  const { status } = response
  const isSuccess = status >= 200 && status < 300
  const limit = isSuccess ? Body.maxAnswerBytes : Body.maxFailureBytes
  const body = yield* Effect.mapError(Body.read(response, limit), unanswered)
  if (status >= 400) {
    const error = yield* Failure.fromAnswer(response, body, { call, statuses: operation.statuses, secrets, isOpen })
    return yield* Effect.fail(error)
  }
  const json = isSuccess
    ? Body.parseJson(body)
    : Result.fail(
        isRedirect(status)
          ? "it is a redirect, which is not followed because it would carry the token elsewhere"
          : "it is neither a success nor a failure"
      )
  const decoded = Result.flatMap(json, decodeSafely(operation))
  if (Result.isSuccess(decoded)) return decoded.success
  if (Result.isSuccess(json) && onMisshapen !== undefined) yield* onMisshapen(json.success)
  const answer = { status, requestId: Failure.requestIdOf(response, secrets) }
  return yield* Transport.malformed(call, answer, decoded.failure)
})

/** Our own spans are enough, and a redirect is never followed: it would carry the token elsewhere. */
const transportContext = Effect.map(Effect.serviceOption(FetchHttpClient.RequestInit), (given) =>
  Context.make(FetchHttpClient.RequestInit, {
    ...Option.getOrUndefined(given),
    redirect: "manual" as const
  }).pipe(Context.add(HttpClient.TracerDisabledWhen, always))
)

const always = (): boolean => true

/** Keys that no other call has: random for this client, counted within it. */
const keySequence = (): (() => string) => {
  const client = randomHex(16)
  let calls = 0
  return () => `${client}-${++calls}`
}
