/**
 * The answer to a turn in one piece: its events, merged, once it has ended.
 */
import { Effect, Schema, Stream } from "effect"
import type { SessionId } from "../../wire/Ids.ts"
import type { TurnEvent } from "../../wire/TurnEvent.ts"
import { turnEvent } from "../../wire/TurnEventCodec.ts"
import * as TurnEvents from "../../wire/TurnEvents.ts"
import type { TurnResponse } from "../../wire/Turns.ts"
import type { CallFeed } from "../calls/CallFeed.ts"
import type { TurnDone } from "../sessions/SessionEngine.ts"

const encodeEvents = Schema.encodeEffect(Schema.Array(turnEvent))

/** Runs a turn, and offers each of its events to the feed as it happens. */
export const make = Effect.fnUntraced(function* <E>(
  sessionId: SessionId,
  turn: Stream.Stream<TurnEvent | TurnDone, E>,
  feed: CallFeed
): Effect.fn.Return<TurnResponse, E> {
  const events: Array<TurnEvent> = []
  let done: TurnDone | undefined
  yield* Stream.runForEach(turn, (event) => {
    if (event._tag === "TurnDone") {
      done = event
      return Effect.void
    }
    events.push(event)
    return feed.offer(event)
  })
  if (done === undefined) return yield* Effect.die(new Error("the turn ended without TurnDone"))
  const { duration, stopReason, turnIndex, usage } = done
  return {
    ok: true,
    sessionId,
    index: turnIndex,
    // Every event that an agent can report has a wire form.
    events: yield* Effect.orDie(encodeEvents(TurnEvents.merge(events))),
    stopReason,
    duration,
    ...(usage === undefined ? {} : { usage })
  }
})
