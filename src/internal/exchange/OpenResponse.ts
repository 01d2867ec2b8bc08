/**
 * The head of a response, apart from its body: a success whose body a reader still has to read, or the error that the
 * status stands for.
 */
import { Effect, type Scope } from "effect"
import type { HttpClientError, HttpClientRequest, HttpClientResponse } from "effect/http"
import type { Status, TransportError } from "../../ForgeError.ts"
import type { CallInfo, Operation } from "../calls/Operation.ts"
import * as ResponseFailure from "../failure/ResponseFailure.ts"
import * as StreamFailure from "../failure/StreamFailure.ts"
import * as TransportFailure from "../failure/TransportFailure.ts"
import * as Body from "../Body.ts"
import type { HttpTransport } from "./HttpTransport.ts"

/** A successful response whose body is not read yet. It lives as long as the scope that it was opened in. */
export interface OpenResponse<S extends Status = Status> {
  readonly call: CallInfo
  readonly origin: string
  readonly requestId: string | undefined
  readonly response: HttpClientResponse.HttpClientResponse
  /** The error of a body that breaks while it is read. */
  readonly onBroken: (error: HttpClientError.HttpClientError) => TransportError
  /** The error of an event stream that ends before its last frame. */
  readonly onEnded: TransportError
  /** The error of a failure that is reported in the body, once the head had said success. */
  readonly onFailure: (status: number, body: Body.Body) => Effect.Effect<ResponseFailure.CallError<S>>
}

export interface Options<S extends Status> extends ResponseFailure.Options<S> {
  readonly operation: Operation<S, unknown>
  readonly origin: string
  /** Whether an earlier attempt reached the server, which refused it. */
  readonly priorRefused: boolean
  /** Receives the status as soon as it is known. */
  readonly onStatus: (status: number) => void
}

/** A `transformClient` may filter statuses; the response that it filtered says more than its error. */
const responseOf = ({ reason }: HttpClientError.HttpClientError): HttpClientResponse.HttpClientResponse | undefined =>
  reason._tag === "StatusCodeError" ? reason.response : undefined

/** Those that name another place (RFC 9110, section 15.4), and 0, which is all that `fetch` shows of one. */
const isRedirect = (status: number): boolean => [0, 301, 302, 303, 307, 308].includes(status)

/** Sends a request and waits for the head of its response. */
export const open = Effect.fnUntraced(function* <S extends Status>(
  transport: HttpTransport,
  request: HttpClientRequest.HttpClientRequest,
  options: Options<S>
): Effect.fn.Return<OpenResponse<S>, ResponseFailure.CallError<S>, Scope.Scope> {
  const { call, onStatus, operation, origin, priorRefused, secrets } = options
  const onBroken = (error: HttpClientError.HttpClientError): TransportError =>
    TransportFailure.fromHttpClientError(error, { call, origin, priorRefused })
  const response = yield* Effect.catch(
    transport(request, { anonymous: operation.anonymous === true }),
    (error: HttpClientError.HttpClientError) => {
      const filtered = responseOf(error)
      return filtered === undefined ? Effect.fail(onBroken(error)) : Effect.succeed(filtered)
    }
  )
  const { status } = response
  onStatus(status)
  if (status >= 200 && status < 300) {
    const { headers } = response
    return {
      call,
      origin,
      requestId: ResponseFailure.requestIdOf(response, secrets),
      response,
      onBroken,
      onEnded: StreamFailure.ended(call, origin),
      onFailure: (status, body) => ResponseFailure.fromResponse({ status, headers }, body, options)
    }
  }
  if (status < 400) {
    return yield* TransportFailure.malformed(
      call,
      { status, origin, requestId: ResponseFailure.requestIdOf(response, secrets) },
      isRedirect(status)
        ? "it is a redirect, which is not followed because it would carry the token elsewhere"
        : "it is neither a success nor a failure"
    )
  }
  const body = yield* Effect.mapError(Body.read(response, Body.maxFailureBytes), onBroken)
  return yield* Effect.fail(yield* ResponseFailure.fromResponse(response, body, options))
})
