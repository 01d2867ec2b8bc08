/**
 * The failures that only a stream has, and the turns that wait for it.
 */
import { Duration } from "effect"
import { Reset, Timeout, TransportError } from "../../ForgeError.ts"
import type { CallInfo } from "../calls/Operation.ts"

/** The error of an event stream that ends before its last frame. */
export const ended = (call: CallInfo, origin: string): TransportError =>
  new TransportError({
    ...call,
    requestId: undefined,
    outcome: "unknown",
    reason: new Reset({ code: undefined }),
    message: `the stream of ${origin} ended before the answer was whole`
  })

/** The code of a stream that cannot be whole any more. */
const gapCode = "EVENT_GAP"

/** The error of a stream whose next events the server no longer keeps. */
export const gap = (call: CallInfo, after: number, next: number | null): TransportError =>
  new TransportError({
    ...call,
    requestId: undefined,
    outcome: "acted",
    reason: new Reset({ code: gapCode }),
    message: `the server no longer keeps ${missing(after + 1, next)} of the stream`
  })

const missing = (first: number, next: number | null): string => {
  if (next === null) return `event ${first} and what follows`
  return next === first + 1 ? `event ${first}` : `the events ${first} to ${next - 1}`
}

export const isGap = (error: { readonly _tag: string }): boolean =>
  error instanceof TransportError && error.reason._tag === "Reset" && error.reason.code === gapCode

/** The error of a stream without an event for longer than its caller allows. */
export const idle = (call: CallInfo, after: Duration.Duration): TransportError =>
  new TransportError({
    ...call,
    requestId: undefined,
    outcome: "unknown",
    reason: new Timeout({ after }),
    message: `no event within ${Duration.format(after)}`
  })

/** The error of a turn that waited too long for those before it. */
export const queueTimeout = (call: CallInfo, after: Duration.Duration): TransportError =>
  new TransportError({
    ...call,
    requestId: undefined,
    outcome: "not-sent",
    reason: new Timeout({ after }),
    message: `the turns before it took longer than ${Duration.format(after)}`
  })
