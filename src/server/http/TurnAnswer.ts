/**
 * The answer to a turn in one piece: its events, merged, once it has ended.
 */
import { Effect, Schema, Stream } from "effect"
import type { SessionId } from "../../wire/Ids.ts"
import type { TurnEvent } from "../../wire/TurnEvent.ts"
import { turnEvent } from "../../wire/TurnEventCodec.ts"
import * as TurnEvents from "../../wire/TurnEvents.ts"
import type { TurnResponse } from "../../wire/Turns.ts"
import type { TurnFeed } from "../calls/TurnFeed.ts"
import type { TurnDone } from "../sessions/SessionEngine.ts"

const encodeEvents = Schema.encodeEffect(Schema.Array(turnEvent))

/** Runs a turn, and offers each of its events to the feed as it happens. */
export const make = Effect.fnUntraced(function* <E>(
  sessionId: SessionId,
  turn: Stream.Stream<TurnEvent | TurnDone, E>,
  feed: TurnFeed
): Effect.fn.Return<TurnResponse, E> {
  let done: TurnDone | undefined
  yield* Stream.runForEach(turn, (event) => {
    if (event._tag !== "TurnDone") return feed.offer(event)
    done = event
    return Effect.void
  })
  if (done === undefined) return yield* Effect.die(new Error("the turn ended without TurnDone"))
  const { duration, stopReason, turnIndex, usage } = done
  const events = TurnEvents.merge(feed.events)
  return {
    ok: true,
    sessionId,
    index: turnIndex,
    // Every event that an agent can report has a wire form.
    events: yield* Effect.orDie(encodeEvents(events)),
    stopReason,
    duration,
    ...(usage === undefined ? {} : { usage })
  }
})
