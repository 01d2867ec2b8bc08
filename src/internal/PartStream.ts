/**
 * The parts of a streamed call: its events as they happen, then what came of it.
 */
import { Array, Cause, Effect, Exit, Scope, Stream } from "effect"
import * as EventDecoder from "../wire/EventDecoder.ts"
import type { TurnEvent } from "../wire/TurnEvent.ts"
import type * as EventStreamReader from "./exchange/EventStreamReader.ts"
import type { Begun } from "./telemetry/Invocation.ts"
import { noStack } from "./telemetry/SessionSpan.ts"

export interface Options<A, E, P> {
  /** Begins the operation; undefined where telemetry is off. */
  readonly begin: Effect.Effect<Begun<A> | undefined>
  /** Opens the call, until the scope closes. */
  readonly open: Effect.Effect<EventStreamReader.Items<A, E>, E, Scope.Scope>
  /** How many events are left out. */
  readonly after: number
  /** The last part. */
  readonly done: (answer: A) => P
}

/**
 * A stream that opens the call at its first pull. The call ends before its last part is given, so that the reader of that part
 * can send the next turn.
 */
export const make = <A, E, P>({ after, begin, done, open }: Options<A, E, P>): Stream.Stream<TurnEvent | P, E> =>
  Stream.scoped(
    Stream.fromPull(
      Effect.map(Effect.scope, (outer) => {
        const decode = EventDecoder.make()
        let received = 0
        let call: Call<A, E> | undefined = undefined

        const partsOf = (items: ReadonlyArray<EventStreamReader.Item<A>>): ReadonlyArray<TurnEvent | P> =>
          items.flatMap((item): ReadonlyArray<TurnEvent | P> => {
            if (item._tag === "Answer") return [done(item.value)]
            // Decoded all the same: later events may be about the tool calls of this one.
            const event = decode(item.raw)
            return ++received > after ? [event] : []
          })

        return Effect.gen(function* () {
          if (call?.exit !== undefined) return yield* Cause.done()
          call ??= yield* start({ begin, open }, outer)
          while (true) {
            const parts = partsOf(yield* next(call))
            if (Array.isReadonlyArrayNonEmpty(parts)) return parts
          }
        })
      })
    )
  )

interface Call<A, E> {
  readonly next: EventStreamReader.Items<A, E>["next"]
  readonly begun: Begun<A> | undefined
  readonly scope: Scope.Closeable
  hasBegun: boolean
  /** How it ended. */
  exit: Exit.Exit<A, E> | undefined
}

const start = Effect.fnUntraced(function* <A, E>(
  { begin, open }: Pick<Options<A, E, unknown>, "begin" | "open">,
  outer: Scope.Scope
): Effect.fn.Return<Call<A, E>, E> {
  const scope = yield* Scope.fork(outer)
  const begun = yield* begin
  const inSpan = <B, R>(effect: Effect.Effect<B, E, R>): Effect.Effect<B, E, R> =>
    begun === undefined ? effect : Effect.withParentSpan(effect, begun.span, noStack)
  const ending: { exit: Exit.Exit<A, E> | undefined } = { exit: undefined }
  if (begun !== undefined) {
    yield* Scope.addFinalizer(
      scope,
      Effect.suspend(() => begun.end(ending.exit ?? Exit.interrupt()))
    )
  }
  const { next } = yield* inSpan(Scope.provide(open, scope)).pipe(
    Effect.onError((cause) => {
      ending.exit = Exit.failCause(cause)
      return Scope.close(scope, ending.exit)
    })
  )
  return Object.assign(ending, { next: inSpan(next), begun, scope, hasBegun: false })
})

/** The next items of a call, which ends with the last of them. */
const next = Effect.fnUntraced(function* <A, E>(call: Call<A, E>) {
  const items = yield* Effect.onError(call.next, (cause) => end(call, Exit.failCause(cause)))
  if (!call.hasBegun && call.begun !== undefined) yield* call.begun.firstPart
  call.hasBegun = true
  const last = items.at(-1)
  if (last?._tag === "Answer") yield* end(call, Exit.succeed(last.value))
  return items
})

const end = <A, E>(call: Call<A, E>, exit: Exit.Exit<A, E>): Effect.Effect<void> =>
  Effect.suspend(() => {
    call.exit = exit
    return Scope.close(call.scope, exit)
  })
