/**
 * A failure in one word, as spans and metrics name it in `error.type`.
 */
import { Cause } from "effect"
import { ApiError, AuthError, SessionClosed, TransportError } from "../../ForgeError.ts"

/** The status that a server answered with, else what kept it from answering, else the kind of error. */
export const ofError = (error: unknown): string => {
  if (error instanceof AuthError) return String(error.status)
  if (error instanceof ApiError) {
    // Nobody answered 422 to what was not sent.
    if (error.outcome === "not-sent") return error.reason._tag
    return String(error.reason._tag === "Unexpected" ? error.reason.status : error.status)
  }
  if (error instanceof TransportError) return error.reason._tag
  return error instanceof SessionClosed ? error._tag : "_OTHER"
}

/** The same of a cause; one that is only an interrupt is no error of anybody's. */
export const ofCause = (cause: Cause.Cause<unknown>): string =>
  Cause.hasInterruptsOnly(cause) ? "interrupted" : ofError(Cause.squash(cause))
