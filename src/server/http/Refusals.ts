/**
 * The responses that come from no endpoint, in the form of the contract: to bodies that are too large, to defects, and to
 * calls that the end of the server interrupts.
 */
import { Effect } from "effect"
import { HttpEffect, HttpRouter, HttpServerError, HttpServerResponse } from "effect/http"
import { type Detail, sentences } from "../../wire/Failures.ts"

const tooLarge = HttpServerResponse.jsonUnsafe({ detail: sentences.tooLarge }, { status: 413 })

const bodies: Readonly<Record<number, Detail>> = {
  404: { detail: sentences.notFound },
  500: { detail: sentences.serverError }
}

/**
 * A call that was interrupted by the end of the server may have acted. A 503 of the contract would mean that it has not, and
 * its client would send it again.
 */
const cutShort = HttpServerResponse.jsonUnsafe({ detail: "the server ended during this call" }, { status: 500 })

/** The seconds of `Retry-After`, by status. */
const retryAfter: Readonly<Record<number, string>> = { 429: "1", 503: "5" }

const isJson = ({ headers }: HttpServerResponse.HttpServerResponse) =>
  headers["content-type"]?.startsWith("application/json") === true

/** The response with a body of the contract. One with a JSON body comes from an endpoint. */
const withBody = (response: HttpServerResponse.HttpServerResponse): HttpServerResponse.HttpServerResponse => {
  const { status } = response
  // The rest of a body that is too large is not read, so the connection cannot be reused.
  if (status === 413) return HttpServerResponse.setHeader(tooLarge, "connection", "close")
  if (isJson(response)) return response
  if (status === 503) return cutShort
  return HttpServerResponse.jsonUnsafe(bodies[status] ?? { detail: `HTTP ${status}` }, { status })
}

/** The response in the form of the contract. */
const inContract = (response: HttpServerResponse.HttpServerResponse): HttpServerResponse.HttpServerResponse => {
  const { status } = response
  if (status < 400) return response
  if (status === 401) return HttpServerResponse.setHeader(response, "www-authenticate", "Bearer")
  const complete = withBody(response)
  const seconds = retryAfter[complete.status]
  return seconds === undefined ? complete : HttpServerResponse.setHeader(complete, "retry-after", seconds)
}

/** Puts every response into the form of the contract. */
export const layerForm = HttpRouter.middleware(
  HttpEffect.withPreResponseHandler((_request, response) => Effect.succeed(inContract(response))),
  { global: true }
)

/** A body that could not be read is a defect as well, but not a fault of the server. */
const isUnreadBody = (defect: unknown) =>
  HttpServerError.isHttpServerError(defect) && defect.reason._tag === "RequestParseError"

/**
 * Logs defects, whose 500 has no details. It runs inside `RequestId`, so that the log line has the request's id.
 */
export const layerDefects = HttpRouter.middleware(
  Effect.tapDefect((defect) => (isUnreadBody(defect) ? Effect.void : Effect.logError("a request failed", defect))),
  { global: true }
)
