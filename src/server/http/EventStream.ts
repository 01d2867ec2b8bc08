/**
 * The body of an event stream: the frames of a running call, as they come.
 */
import { Array, Cause, type Duration, Effect, Option, Stream } from "effect"
import type { TurnEvent } from "../../wire/TurnEvent.ts"
import * as CallAnswer from "../calls/CallAnswer.ts"
import type { RunningCall } from "../calls/RunningCall.ts"
import type { TurnReader } from "../calls/TurnFeed.ts"
import * as EventFrames from "./EventFrames.ts"

/** About how many characters are written at once: agents repeat a large tool call with each of its updates. */
const writeSize = 1024 * 1024

export interface Options {
  /** The events that were read before. */
  readonly first: ReadonlyArray<TurnEvent>
  /** How long the stream may be silent. */
  readonly keepAlive: Duration.Input
}

/** The frames of a call, from those of its first events on. */
export const make = (call: RunningCall, reader: TurnReader, options: Options): Stream.Stream<string> => {
  let taken = options.first
  let eventsSent = taken.length > 0
  let finished = false

  const nextFrames = Effect.gen(function* () {
    let text = ""
    let count = 0
    for (const event of taken) {
      text += yield* EventFrames.fromEvent(event)
      count++
      if (text.length >= writeSize) break
    }
    taken = taken.slice(count)
    return text
  })

  const end = (answer: CallAnswer.CallAnswer) => {
    finished = true
    return EventFrames.fromAnswer(answer, { eventsSent })
  }

  const next = Effect.gen(function* () {
    if (finished) return yield* Cause.done()
    if (taken.length === 0) {
      if (Option.isNone(yield* Effect.timeoutOption(reader.ready, options.keepAlive))) return EventFrames.keepAlive
      taken = yield* reader.take
      eventsSent ||= taken.length > 0
    }
    return taken.length > 0 ? yield* nextFrames : yield* end(yield* call.answer)
  })

  const pull = next.pipe(
    Effect.catchDefect((defect) =>
      Effect.andThen(Effect.logError("an event stream failed", defect), end(CallAnswer.serverError))
    ),
    Effect.map(Array.of)
  )
  return Stream.fromPull(Effect.succeed(pull))
}
