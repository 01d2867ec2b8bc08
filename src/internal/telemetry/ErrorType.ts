/**
 * The `error.type` attribute of spans and metrics: a failure as one word.
 */
import { Cause } from "effect"
import { ApiError, AuthError, SessionClosed, TransportError } from "../../ForgeError.ts"

/** The status of the response, else why there was none, else the error's tag. */
export const ofError = (error: unknown): string => {
  if (error instanceof AuthError) return String(error.status)
  if (error instanceof ApiError) {
    // Input refused by this client has no HTTP status.
    if (error.outcome === "not-sent") return error.reason._tag
    return String(error.reason._tag === "Unexpected" ? error.reason.status : error.status)
  }
  if (error instanceof TransportError) return error.reason._tag
  return error instanceof SessionClosed ? error._tag : "_OTHER"
}

/** The same for a cause; `interrupted` where nothing failed. */
export const ofCause = (cause: Cause.Cause<unknown>): string =>
  Cause.hasInterruptsOnly(cause) ? "interrupted" : ofError(Cause.squash(cause))
