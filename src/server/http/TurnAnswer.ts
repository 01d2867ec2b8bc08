/**
 * The answer to a turn, all at once: its events, merged, when it has ended.
 */
import { Effect, Schema, Stream } from "effect"
import type { SessionId } from "../../wire/Ids.ts"
import { TurnEvent } from "../../wire/TurnEvent.ts"
import * as TurnEvents from "../../wire/TurnEvents.ts"
import type { TurnResponse } from "../../wire/Turns.ts"
import type { TurnDone } from "../sessions/SessionEngine.ts"

const isDone = (event: TurnEvent | TurnDone): event is TurnDone => event._tag === "TurnDone"

const encodeEvents = Schema.encodeEffect(Schema.Array(TurnEvent))

/** `tell` gets each event as it happens. */
export const make = Effect.fnUntraced(function* <E>(
  sessionId: SessionId,
  turn: Stream.Stream<TurnEvent | TurnDone, E>,
  tell?: (event: TurnEvent) => Effect.Effect<void>
): Effect.fn.Return<TurnResponse, E> {
  const told = yield* Stream.runCollect(
    tell === undefined ? turn : Stream.tap(turn, (event) => (isDone(event) ? Effect.void : tell(event)))
  )
  const done = told.find(isDone)
  if (done === undefined) return yield* Effect.die(new Error("the turn ended without TurnDone"))
  const { duration, stopReason, turnIndex, usage } = done
  const events = TurnEvents.merge(told.filter((event) => !isDone(event)))
  return {
    ok: true,
    sessionId,
    turnIndex,
    // What an agent said always has a form on the wire.
    events: yield* Effect.orDie(encodeEvents(events)),
    stopReason,
    duration,
    ...(usage === undefined ? {} : { usage })
  }
})
