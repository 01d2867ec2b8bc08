/**
 * What a request says of its call besides its body: its key, the form of its answer, and the last frame that its reader
 * has had.
 */
import { Effect } from "effect"
import type { HttpServerRequest } from "effect/http"
import { Invalid } from "../../api/Errors.ts"
import { lastEventId } from "../../wire/Frames.ts"
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
}

/** Without a key, a request that resumes a stream would make the agent work a second time. */
const needsKey = Invalid.header(lastEventId, "needs the Idempotency-Key of the call: without one this is a new call")

export const read = Effect.fnUntraced(function* ({
  headers,
  request
}: Request): Effect.fn.Return<CallRequest, Invalid> {
  const key = headers["idempotency-key"]
  const after = headers[lastEventId]
  if (key === undefined && after !== undefined) return yield* needsKey
  return { key, asEvents: CallResponse.acceptsEvents(request), after: after ?? 0 }
})
