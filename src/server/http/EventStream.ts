/**
 * The body of an event stream: the frames of a running call, as they come.
 */
import { Array, Cause, type Duration, Effect, Option, Stream } from "effect"
import * as CallAnswer from "../calls/CallAnswer.ts"
import type { FrameReader } from "../calls/CallFeed.ts"
import * as EventFrames from "../calls/EventFrames.ts"
import type { RunningCall } from "../calls/RunningCall.ts"

/** About how many characters are written at once: agents repeat a large tool call with each of its updates. */
const writeSize = 1024 * 1024

export interface Options {
  /** The frames that were taken before. */
  readonly first: ReadonlyArray<string>
  /** How long the stream may be silent. */
  readonly keepAlive: Duration.Input
}

/** The frames of a call, from those that were taken first on. */
export const make = (call: RunningCall, reader: FrameReader, options: Options): Stream.Stream<string> => {
  let taken = options.first
  let finished = false

  const nextFrames = () => {
    let text = ""
    let count = 0
    for (const frame of taken) {
      text += frame
      count++
      if (text.length >= writeSize) break
    }
    taken = taken.slice(count)
    return text
  }

  const end = (answer: CallAnswer.CallAnswer) => {
    finished = true
    return EventFrames.fromAnswer(answer)
  }

  const next = Effect.gen(function* () {
    if (finished) return yield* Cause.done()
    if (taken.length === 0) {
      if (Option.isNone(yield* Effect.timeoutOption(reader.ready, options.keepAlive))) return EventFrames.keepAlive
      taken = yield* reader.take
    }
    return taken.length > 0 ? nextFrames() : yield* end(yield* call.answer)
  })

  const pull = next.pipe(
    Effect.catchTag("StorageUnavailable", (failure) => Effect.flatMap(CallAnswer.fromFailure(failure), end)),
    Effect.catchDefect((defect) =>
      Effect.andThen(Effect.logError("an event stream failed", defect), end(CallAnswer.serverError))
    ),
    Effect.map(Array.of)
  )
  return Stream.fromPull(Effect.succeed(pull))
}
