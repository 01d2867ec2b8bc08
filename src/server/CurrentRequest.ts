/**
 * The request that is being answered.
 *
 * The spans of all its work carry its id and join the caller's trace, also of work that outlives its connection.
 */
import { Context, Effect, type Tracer } from "effect"

export interface CurrentRequest {
  readonly id: string
  /** Missing where nothing records spans. */
  readonly span?: Tracer.Span | undefined
}

export const CurrentRequest = Context.Reference<CurrentRequest | undefined>("effect-clawdforge/server/CurrentRequest", {
  defaultValue: () => undefined
})

/** The attribute of spans that has the id of their request. */
export const idAttribute = "clawdforge.request.id"

/** Runs work as a part of the request. */
export const trace = <A, E, R>(work: Effect.Effect<A, E, R>): Effect.Effect<A, E, R> =>
  Effect.flatMap(CurrentRequest, (request) =>
    request?.span === undefined
      ? work
      : work.pipe(
          Effect.withParentSpan(request.span, { captureStackTrace: false }),
          Effect.annotateSpans(idAttribute, request.id)
        )
  )
