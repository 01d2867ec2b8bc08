/**
 * Reads the body of a successful response as server-sent events: the events of a turn or a run, then its answer.
 *
 * Frames that were received before, over another connection, are skipped; a frame that is missing is an error.
 */
import { Array, Cause, Effect, Predicate, Result, Schema, type Scope, Stream } from "effect"
import { Sse } from "effect/encoding"
import type { Status, TransportError } from "../../ForgeError.ts"
import * as Body from "../Body.ts"
import type { StreamedOperation } from "../calls/Operation.ts"
import type { CallError } from "../failure/ResponseFailure.ts"
import * as StreamFailure from "../failure/StreamFailure.ts"
import * as TransportFailure from "../failure/TransportFailure.ts"
import * as JsonReader from "./JsonReader.ts"
import type { OpenResponse } from "./OpenResponse.ts"

/** What a streamed call gives: its events as they came, then its answer. */
export type Item<A> = { readonly _tag: "Event"; readonly raw: unknown } | { readonly _tag: "Answer"; readonly value: A }

/** The items of a call. */
export interface Items<A, E> {
  /** Waits for the next. The answer is the last: nothing is read after it. */
  readonly next: Effect.Effect<Array.NonEmptyReadonlyArray<Item<A>>, E>
}

/** What has been received of a call so far, over all its connections. */
export interface Received {
  readonly events: globalThis.Array<unknown>
  /** The size of the events' JSON. */
  characters: number
  /** Whether the server numbers its frames, from 1: it can then go on after one of them. */
  isNumbered: boolean
}

export const nothing = (): Received => ({ events: [], characters: 0, isNumbered: false })

/** Whether a response is an event stream. */
export const isEventStream = ({ response }: Pick<OpenResponse, "response">): boolean =>
  /^text\/event-stream\s*(;|$)/i.test(response.headers["content-type"] ?? "")

const isFailure = Schema.is(Schema.Struct({ status: Schema.Int, body: Schema.Unknown }))
const isGap = Schema.is(Schema.Struct({ next: Schema.NullOr(Schema.Int) }))

/** An event that is not JSON is kept as its text. */
const rawOf = (data: string): unknown =>
  Result.getOrElse(Body.parseJson({ text: data, whole: true }), (): unknown => data)

const numberOf = (id: string | undefined): number | undefined =>
  id !== undefined && /^\d{1,15}$/.test(id) ? Number(id) : undefined

const malformedOf = <S extends Status>(
  { call, origin, requestId, response }: OpenResponse<S>,
  description: string
): TransportError => TransportFailure.malformed(call, { status: response.status, requestId, origin }, description)

/** How the frames of one response are read: what each adds, or how it ends the call. */
const makeFrames = <S extends Status, A>(
  opened: OpenResponse<S>,
  operation: StreamedOperation<S, A>,
  received: Received
) => {
  const malformed = (description: string) => Effect.fail<CallError<S>>(malformedOf(opened, description))

  const answer = (data: string) => {
    const json = rawOf(data)
    if (!Predicate.isObject(json)) return malformed("its last frame is not JSON")
    const decoded = Result.try({
      try: () => operation.decode(operation.streamed.assemble(json, received.events)),
      catch: () => "it cannot be read"
    }).pipe(Result.flatMap((result) => result))
    return Result.isSuccess(decoded) ? Effect.succeed(decoded.success) : malformed(decoded.failure)
  }

  const failure = (data: string): Effect.Effect<never, CallError<S>> => {
    const json = rawOf(data)
    return isFailure(json) && json.status >= 400
      ? Effect.flatMap(opened.onFailure(json.status, { text: JSON.stringify(json.body), whole: true }), Effect.fail)
      : malformed("its error frame has no status")
  }

  const gap = (next: number | null) =>
    Effect.fail<CallError<S>>(StreamFailure.gap(opened.call, received.events.length, next))

  /** An event to add; undefined for one that was received before. */
  const event = (frame: Sse.Event): Effect.Effect<Item<A> | undefined, CallError<S>> => {
    const number = numberOf(frame.id)
    if (number !== undefined) {
      received.isNumbered = true
      if (number <= received.events.length) return Effect.undefined
      if (number > received.events.length + 1) return gap(number)
    }
    received.characters += frame.data.length
    if (received.characters > Body.maxAnswerBytes) return malformed(Body.tooLarge)
    const raw = rawOf(frame.data)
    received.events.push(raw)
    return Effect.succeed({ _tag: "Event", raw })
  }

  return (frame: Sse.Event): Effect.Effect<Item<A> | undefined, CallError<S>> => {
    switch (frame.event) {
      case "done":
        return Effect.map(answer(frame.data), (value) => ({ _tag: "Answer", value }))
      case "error":
        return failure(frame.data)
      case "gap": {
        const json = rawOf(frame.data)
        return gap(isGap(json) ? json.next : null)
      }
      default:
        return event(frame)
    }
  }
}

/** Reads a response until its answer. A failure comes after the events before it. */
export const read = Effect.fnUntraced(function* <S extends Status, A>(
  opened: OpenResponse<S>,
  operation: StreamedOperation<S, A>,
  received: Received
): Effect.fn.Return<Items<A, CallError<S>>, never, Scope.Scope> {
  const { onBroken, onEnded } = opened
  const chunks = yield* Stream.toPull(opened.response.stream)
  const nextChunk = Effect.mapError(chunks, (error): TransportError =>
    Cause.isDone(error) ? onEnded : onBroken(error)
  )
  const text = new TextDecoder()
  const frames: Array<Sse.Event> = []
  const parser = Sse.makeParser((event) => event._tag === "Event" && frames.push(event), {
    maxEventSize: Body.maxAnswerBytes
  })
  const itemOf = makeFrames(opened, operation, received)
  const ending: { failure?: CallError<S> } = {}

  const feed = (bytes: Uint8Array): void => {
    const error = parser.feed(text.decode(bytes, { stream: true }))
    if (error !== undefined) ending.failure = malformedOf(opened, Body.tooLarge)
  }

  const next = Effect.gen(function* () {
    const items: Array<Item<A>> = []
    while (!Array.isArrayNonEmpty(items)) {
      if (ending.failure !== undefined) return yield* Effect.fail(ending.failure)
      for (const bytes of yield* nextChunk) feed(bytes)
      for (const frame of frames.splice(0)) {
        const item = yield* Effect.result(itemOf(frame))
        if (Result.isFailure(item)) {
          ending.failure = item.failure
          break
        }
        if (item.success !== undefined) items.push(item.success)
      }
    }
    return items
  })
  return { next }
})

/** Reads a response to its answer alone. */
export const answer = Effect.fnUntraced(function* <S extends Status, A>(
  opened: OpenResponse<S>,
  operation: StreamedOperation<S, A>
): Effect.fn.Return<A, CallError<S>, Scope.Scope> {
  const { next } = yield* read(opened, operation, nothing())
  while (true) {
    const last = (yield* next).at(-1)
    if (last?._tag === "Answer") return last.value
  }
})

/** Reads a response that is not an event stream: all its events at once, and the answer. */
export const burst = Effect.fnUntraced(function* <S extends Status, A>(
  opened: OpenResponse<S>,
  operation: StreamedOperation<S, A>,
  received: Received
): Effect.fn.Return<Items<A, CallError<S>>, CallError<S>> {
  if (received.events.length > 0) {
    return yield* Effect.fail(malformedOf(opened, "it is not the event stream that it was before"))
  }
  const withEvents = (json: unknown) =>
    Result.map(operation.decode(json), (value) => ({ value, events: operation.streamed.eventsOf(json) }))
  const { events, value } = yield* JsonReader.read(opened, { decode: withEvents })
  const parts = events.map((raw): Item<A> => ({ _tag: "Event", raw }))
  return { next: Effect.succeed(Array.append(parts, { _tag: "Answer", value })) }
})
