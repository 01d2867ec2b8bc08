/**
 * The answers that no endpoint gives: to a body that is too large or not JSON, to a defect, to the end of the server.
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
 * A call that was cut short by the end of the server may have acted: a 503 of the contract would say that it did not, and
 * have its client send it again.
 */
const cutShort = HttpServerResponse.jsonUnsafe({ detail: "the server ended during this call" }, { status: 500 })

/** After how many seconds to try again. */
const retryAfter: Readonly<Record<number, string>> = { 429: "1", 503: "5" }

const isJson = ({ headers }: HttpServerResponse.HttpServerResponse) =>
  headers["content-type"]?.startsWith("application/json") === true

/** The same answer with the contract's body; one that has a JSON body is an endpoint's own. */
const withBody = (response: HttpServerResponse.HttpServerResponse): HttpServerResponse.HttpServerResponse => {
  const { status } = response
  // What is left of a body that is too large is not read, so nothing can follow it.
  if (status === 413) return HttpServerResponse.setHeader(tooLarge, "connection", "close")
  if (isJson(response)) return response
  if (status === 503) return cutShort
  return HttpServerResponse.jsonUnsafe(bodies[status] ?? { detail: `HTTP ${status}` }, { status })
}

/** The same answer in the contract's form. */
const inContract = (response: HttpServerResponse.HttpServerResponse): HttpServerResponse.HttpServerResponse => {
  const { status } = response
  if (status < 400) return response
  if (status === 401) return HttpServerResponse.setHeader(response, "www-authenticate", "Bearer")
  const answer = withBody(response)
  const again = retryAfter[answer.status]
  return again === undefined ? answer : HttpServerResponse.setHeader(answer, "retry-after", again)
}

/** Puts every answer into the contract's form. */
export const layerForm = HttpRouter.middleware(
  HttpEffect.withPreResponseHandler((_request, response) => Effect.succeed(inContract(response))),
  { global: true }
)

/** A body that could not be read comes as a defect too, but is the client's doing. */
const isUnread = (defect: unknown) =>
  HttpServerError.isHttpServerError(defect) && defect.reason._tag === "RequestParseError"

/**
 * A defect is answered with a 500 that says nothing of it, so it is told here; behind the id of the request, for the line
 * to carry it.
 */
export const layerDefects = HttpRouter.middleware(
  Effect.tapDefect((defect) => (isUnread(defect) ? Effect.void : Effect.logError("a request failed", defect))),
  { global: true }
)
