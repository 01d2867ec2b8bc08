/**
 * What a request says of its call: its key, the form of its answer, the last frame that its reader has had, and how long it
 * goes on without a reader.
 */
import { Duration, Effect } from "effect"
import type { HttpServerRequest } from "effect/http"
import { Invalid } from "../../api/Errors.ts"
import { lastEventId } from "../../wire/Frames.ts"
import * as Timeouts from "../Timeouts.ts"
import * as CallResponse from "./CallResponse.ts"

/** The request of an endpoint that makes an agent work. */
export interface Request {
  readonly headers: {
    readonly "idempotency-key"?: string
    readonly [lastEventId]?: number
  }
  readonly request: HttpServerRequest.HttpServerRequest
}

/** How a call is started or joined, and answered. */
export interface CallRequest {
  readonly key: string | undefined
  readonly asEvents: boolean
  /** The number of the last frame that its reader has had; 0 for none. */
  readonly after: number
  /** How long it goes on without a reader, if the request says so. */
  readonly linger: Duration.Duration | undefined
}

/** Without a key, a request that resumes a stream would make the agent work a second time. */
const needsKey = Invalid.header(lastEventId, "needs the Idempotency-Key of the call: without one this is a new call")

/** Without a key, a call is cancelled as soon as its connection is lost. */
const lingerNeedsKey = Invalid.body("linger_secs", "needs an Idempotency-Key: without one nothing can join the call")

/** Reads requests for calls, whose body may have a linger. */
export const reader = Effect.map(Timeouts.Maximum, (maximum) => {
  const minimum = Duration.zero
  const outOfRange = Invalid.body("linger_secs", `must be from 0 to ${Duration.toSeconds(maximum)}`)
  return Effect.fnUntraced(function* (
    { headers, request }: Request,
    payload: { readonly linger?: Duration.Duration | null }
  ): Effect.fn.Return<CallRequest, Invalid> {
    const key = headers["idempotency-key"]
    const after = headers[lastEventId]
    const linger = payload.linger ?? undefined
    if (key === undefined && after !== undefined) return yield* needsKey
    if (key === undefined && linger !== undefined) return yield* lingerNeedsKey
    if (linger !== undefined && !Duration.between(linger, { minimum, maximum })) return yield* outOfRange
    return { key, asEvents: CallResponse.acceptsEvents(request), after: after ?? 0, linger }
  })
})
