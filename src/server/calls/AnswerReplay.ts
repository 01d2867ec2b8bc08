/**
 * Replays the answer that was kept of a call to a request that repeats the call.
 *
 * A repeat has the same key and the same body. A request with the same key and another body is refused.
 */
import { Effect, Option } from "effect"
import { Invalid } from "../../api/Errors.ts"
import type * as CallAnswer from "./CallAnswer.ts"
import type { CallId, KeptAnswers, KeptCall } from "./KeptAnswers.ts"
import type { RunningCall } from "./RunningCall.ts"
import * as TurnFeed from "./TurnFeed.ts"

const otherBody = Invalid.key("was used with another body")

/** Refuses a request whose body is not that of the call with its key. */
export const checkBody = (call: { readonly requestHash: string }, requestHash: string): Effect.Effect<void, Invalid> =>
  call.requestHash === requestHash ? Effect.void : Effect.fail(otherBody)

/** The kept answer, for a repeat of its call. */
export const answerOf = (kept: KeptCall, requestHash: string): Effect.Effect<CallAnswer.CallAnswer, Invalid> =>
  Effect.as(checkBody(kept, requestHash), kept.answer)

/** A call that has ended: its events are in its answer. */
export const ended = (answer: CallAnswer.CallAnswer): RunningCall => ({
  feed: TurnFeed.ended,
  answer: Effect.succeed(answer)
})

/** The call that a request repeats, if its answer was kept. */
export const find = Effect.fnUntraced(function* (
  kept: KeptAnswers["Service"],
  { requestHash, ...id }: CallId & { readonly requestHash: string }
) {
  const found = yield* kept.find(id)
  if (Option.isNone(found)) return Option.none()
  return Option.some(ended(yield* answerOf(found.value, requestHash)))
})
