/**
 * The answer to a turn as server-sent events: each event as it happens, then `done` with the rest of the JSON answer, or
 * `error` with the answer that the turn would have had.
 *
 * A turn that fails before anything was written is answered like any other. Nothing is written before the first event,
 * unless that takes so long that a comment has to keep the connection open.
 */
import { Array, Cause, Context, type Duration, Effect, Layer, Option, Schema, type Scope, Stream } from "effect"
import { type HttpServerRequest, HttpServerResponse } from "effect/http"
import * as TurnBudget from "../TurnBudget.ts"
import { TooMany } from "../../api/Errors.ts"
import { TurnEvent } from "../../wire/TurnEvent.ts"
import type { RunningCall } from "../calls/RunningCall.ts"
import * as AppCounts from "../AppCounts.ts"
import type { TurnReader } from "../calls/TurnFeed.ts"
import * as WireAnswer from "../calls/WireAnswer.ts"

const mediaType = "text/event-stream"

export interface Options {
  /** How long an event stream is silent before a comment keeps its connection open; 15 seconds if not given. */
  readonly keepAlive?: Duration.Input | undefined
  /** How many event streams one app may read at once; 128 if not given. */
  readonly maxAppStreams?: number | undefined
}

const boundsOf = ({ keepAlive = "15 seconds", maxAppStreams = 128 }: Options) => ({ keepAlive, maxAppStreams })

const Bounds = Context.Reference("effect-clawdforge/server/http/TurnStream/Bounds", {
  defaultValue: () => boundsOf({})
})

export const layer = (options: Options) => Layer.succeed(Bounds, boundsOf(options))

/** Lets an app read one more stream until the scope closes, if it has not as many as it may. */
export const limit = Effect.map(Bounds, ({ maxAppStreams }) => {
  const open = AppCounts.make()
  return (appId: number): Effect.Effect<void, TooMany, Scope.Scope> =>
    Effect.suspend(() =>
      open.of(appId) < maxAppStreams
        ? Effect.acquireRelease(
            Effect.sync(() => open.add(appId)),
            () => Effect.sync(() => open.remove(appId))
          )
        : Effect.fail(new TooMany())
    )
})

/** Whether a request asks for its answer as an event stream. */
export const isWanted = ({ headers }: Pick<HttpServerRequest.HttpServerRequest, "headers">): boolean =>
  (headers["accept"] ?? "").split(",").some((range) => {
    const [type = "", ...parameters] = range.toLowerCase().split(";")
    return type.trim() === mediaType && !parameters.some((parameter) => /^\s*q\s*=\s*0(\.0*)?\s*$/.test(parameter))
  })

const utf8 = new TextEncoder()
const keepAliveComment = utf8.encode(": keep-alive\n\n")

const frame = (event: string, data: unknown) => `event: ${event}\ndata: ${JSON.stringify(data)}\n\n`

const encode = Schema.encodeEffect(TurnEvent)

/** What an agent said always has a form on the wire. */
const encodeFrame = (event: TurnEvent) =>
  event._tag === "Text" && event.messageId === undefined
    ? Effect.succeed(frame("text", { type: "text", content: event.content }))
    : Effect.map(Effect.orDie(encode(event)), (encoded) => frame(encoded.type, encoded))

const Done = Schema.fromJsonString(
  Schema.StructWithRest(Schema.Struct({ events: Schema.Array(Schema.Unknown) }), [
    Schema.Record(Schema.String, Schema.Unknown)
  ])
)
const decodeDone = Schema.decodeEffect(Done)
const parse = Schema.decodeEffect(Schema.fromJsonString(Schema.Unknown))
const isTyped = Schema.is(Schema.Struct({ type: Schema.String }))

/** The end of a stream. The events of an answer that was kept are in it, and have not been sent yet. */
const lastFrames = Effect.fnUntraced(function* ({ body, status }: WireAnswer.WireAnswer, told: boolean) {
  if (status !== 200) return frame("error", { status, body: yield* parse(body) })
  const { events, ...rest } = yield* decodeDone(body)
  const untold = told ? [] : events.filter(isTyped).map((event) => frame(event.type, event))
  return untold.join("") + frame("done", rest)
}, Effect.orDie)

/** About as many characters as are written at once: an agent may tell of a large tool call with each of its updates. */
const writeSize = 1024 * 1024

/** The frames of a turn, after the first events of it were taken, if there were any yet. */
const frames = (
  call: RunningCall,
  reader: TurnReader,
  options: { readonly first: ReadonlyArray<TurnEvent>; readonly keepAlive: Duration.Input }
): Stream.Stream<Uint8Array> => {
  let taken = options.first
  let told = taken.length > 0
  let finished = false

  const nextFrames = Effect.gen(function* () {
    let text = ""
    let count = 0
    for (const event of taken) {
      text += yield* encodeFrame(event)
      count++
      if (text.length >= writeSize) break
    }
    taken = taken.slice(count)
    return text
  })

  const end = (answer: WireAnswer.WireAnswer) => {
    finished = true
    return lastFrames(answer, told)
  }

  const next = Effect.gen(function* () {
    if (finished) return yield* Cause.done()
    if (taken.length === 0) {
      if (Option.isNone(yield* Effect.timeoutOption(reader.ready, options.keepAlive))) return keepAliveComment
      taken = yield* reader.take
      told ||= taken.length > 0
    }
    return utf8.encode(taken.length > 0 ? yield* nextFrames : yield* end(yield* call.answer))
  })

  const pull = next.pipe(
    Effect.catchDefect((defect) =>
      Effect.logError("an event stream failed", defect).pipe(
        Effect.andThen(end(WireAnswer.serverError)),
        Effect.map((text) => utf8.encode(text))
      )
    ),
    Effect.map(Array.of)
  )
  return Stream.fromPull(Effect.succeed(pull))
}

/**
 * Answers with a call as it goes on. `follow` attaches to the call for as long as its scope is open, which is as long as
 * somebody reads.
 */
export const make = Effect.fnUntraced(function* <E, R>(follow: Effect.Effect<RunningCall, E, R | Scope.Scope>) {
  const { keepAlive } = yield* Bounds
  const call = yield* follow
  const reader = yield* call.feed.read
  // The turn's agent has its part of the budget back by then, while all that it said is still here.
  yield* Effect.forkScoped(Effect.flatMap(call.answer, ({ body }) => TurnBudget.hold(body.length)))

  const isSilent = Option.isNone(yield* Effect.timeoutOption(reader.ready, keepAlive))
  const first = yield* reader.take
  if (!isSilent && first.length === 0) {
    const answer = yield* call.answer
    if (answer.status !== 200) return WireAnswer.toResponse(answer)
  }

  const written = frames(call, reader, { first, keepAlive })
  return HttpServerResponse.stream(isSilent ? Stream.prepend(written, [keepAliveComment]) : written, {
    contentType: mediaType,
    headers: { "cache-control": "no-store", "x-accel-buffering": "no" }
  })
})
