/**
 * Replays what was kept of a call to a request that repeats the call: its frames and its answer.
 *
 * A repeat has the same key and the same body. A request with the same key and another body is refused.
 */
import { Effect, Option } from "effect"
import { Invalid } from "../../api/Errors.ts"
import { sentences } from "../../wire/Failures.ts"
import * as CallAnswer from "./CallAnswer.ts"
import type { FrameReader } from "./CallFeed.ts"
import * as FailureLog from "./FailureLog.ts"
import type { CallId, KeptAnswers, KeptCall } from "./KeptAnswers.ts"
import * as KeptFrames from "./KeptFrames.ts"
import type { RunningCall } from "./RunningCall.ts"

const otherBody = Invalid.key("was used with another body")

/** Refuses a request whose body is not that of the call with its key. */
export const checkBody = (call: { readonly requestHash: string }, requestHash: string): Effect.Effect<void, Invalid> =>
  call.requestHash === requestHash ? Effect.void : Effect.fail(otherBody)

/** What is known of a call that has ended. */
type Ended = Pick<KeptCall, "answer" | "frames">

/** A reader of the frames that were kept of a call, after the one of a number. */
export const readerOf = (kept: KeptAnswers["Service"], id: CallId, { frames }: Ended, after: number): FrameReader =>
  KeptFrames.reader({ count: frames, pieceAfter: (position) => kept.framesAfter(id, position) }, after)

/** A call that has ended, with what was kept of its frames. */
export const ended = (kept: KeptAnswers["Service"], id: CallId, call: Ended): RunningCall => ({
  hasEvents: Effect.succeed(call.frames !== 0),
  read: (after) => Effect.sync(() => readerOf(kept, id, call, after)),
  answer: Effect.succeed(call.answer)
})

const forgotten: Ended = { answer: CallAnswer.failed(sentences.callForgotten, "error"), frames: null }

/**
 * The call that a request repeats, if it was kept. A request that resumes a call of which nothing is known does not start
 * it: its frames prove that it has been started before.
 */
export const find = Effect.fnUntraced(function* (
  kept: KeptAnswers["Service"],
  call: CallId & { readonly requestHash: string; readonly after: number }
) {
  const found = yield* kept.find(call)
  if (Option.isNone(found) && call.after === 0) return Option.none()
  if (Option.isSome(found)) yield* checkBody(found.value, call.requestHash)
  const known: Ended = Option.getOrElse(found, () => forgotten)
  yield* FailureLog.logKept(known.answer)
  return Option.some(ended(kept, call, known))
})
