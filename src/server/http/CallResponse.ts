/**
 * The HTTP response to a call, as JSON or as an event stream.
 */
import { Context, type Duration, Effect, Layer, Option, type Scope, Stream } from "effect"
import { type HttpServerRequest, HttpServerResponse } from "effect/http"
import { TooMany } from "../../api/Errors.ts"
import * as AppCounts from "../AppCounts.ts"
import * as CallAnswer from "../calls/CallAnswer.ts"
import * as EventFrames from "../calls/EventFrames.ts"
import type { RunningCall } from "../calls/RunningCall.ts"
import * as TurnBudget from "../TurnBudget.ts"
import * as EventStream from "./EventStream.ts"

const eventStream = "text/event-stream"

/** The content type of an event stream. It names the charset: some clients read text without one as Latin-1. */
const eventStreamUtf8 = `${eventStream}; charset=utf-8`

export interface Options {
  /** How long an event stream is silent before a comment keeps its connection open; 15 seconds if not given. */
  readonly keepAlive?: Duration.Input | undefined
  /** How many event streams one app may read at once; 128 if not given. */
  readonly maxAppStreams?: number | undefined
}

const boundsOf = ({ keepAlive = "15 seconds", maxAppStreams = 128 }: Options) => ({
  keepAlive,
  maxAppStreams,
  /** The open streams of all endpoints. */
  open: AppCounts.make()
})

const Bounds = Context.Reference("effect-clawdforge/server/http/CallResponse/Bounds", {
  defaultValue: () => boundsOf({})
})

export const layer = (options: Options) => Layer.succeed(Bounds, boundsOf(options))

/** Counts an event stream of an app until the scope closes, and fails where the app has as many as it may. */
export const streamLimit = Effect.map(
  Bounds,
  ({ maxAppStreams, open }) =>
    (appId: number): Effect.Effect<void, TooMany, Scope.Scope> =>
      Effect.suspend(() =>
        open.of(appId) < maxAppStreams
          ? Effect.acquireRelease(
              Effect.sync(() => open.add(appId)),
              () => Effect.sync(() => open.remove(appId))
            )
          : Effect.fail(new TooMany())
      )
)

/** Whether a request accepts an event stream. */
export const acceptsEvents = ({ headers }: Pick<HttpServerRequest.HttpServerRequest, "headers">): boolean =>
  (headers["accept"] ?? "").split(",").some((range) => {
    const [type = "", ...parameters] = range.toLowerCase().split(";")
    return type.trim() === eventStream && !parameters.some((parameter) => /^\s*q\s*=\s*0(\.0*)?\s*$/.test(parameter))
  })

const fromAnswer = ({ body, status }: CallAnswer.CallAnswer) =>
  HttpServerResponse.text(body, { status, contentType: "application/json" })

/** The answer to a call, once there is one. */
export const renderJson = ({ answer }: RunningCall): Effect.Effect<HttpServerResponse.HttpServerResponse> =>
  Effect.map(answer, fromAnswer)

/**
 * The frames of a call after one of them, as they happen, and its answer at the end.
 *
 * Nothing is written before the first event of a call, so a call that fails until then has an ordinary response. When that
 * takes too long, the stream begins with a comment, and so with 200; a call that has had events begins with one at once.
 */
export const renderEvents = Effect.fnUntraced(
  function* (call: RunningCall, after: number) {
    const { keepAlive } = yield* Bounds
    const reader = yield* call.read(after)
    // The agent has returned its part of the budget by then.
    yield* Effect.forkScoped(Effect.flatMap(call.answer, ({ body }) => TurnBudget.hold(body.length)))

    const patience = (yield* call.hasEvents) ? 0 : keepAlive
    const isSilent = Option.isNone(yield* Effect.timeoutOption(reader.ready, patience))
    const first = yield* reader.take
    if (!isSilent && first.length === 0 && !(yield* call.hasEvents)) {
      const answer = yield* call.answer
      if (answer.status !== 200) return fromAnswer(answer)
    }

    const frames = EventStream.make(call, reader, { first, keepAlive })
    const body = isSilent ? Stream.prepend(frames, [EventFrames.keepAlive]) : frames
    return HttpServerResponse.stream(Stream.encodeText(body), {
      contentType: eventStreamUtf8,
      headers: { "cache-control": "no-store", "x-accel-buffering": "no" }
    })
  },
  Effect.catchTag("StorageUnavailable", (failure) => Effect.map(CallAnswer.fromFailure(failure), fromAnswer))
)
