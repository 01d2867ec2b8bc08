/**
 * The request that is being answered.
 *
 * Work that outlives its connection runs in another fiber but still belongs to the request: its spans carry the request's
 * id and join the caller's trace.
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

/**
 * Runs work as a part of the request. The span is set here, and not where it is made: an endpoint runs with the services
 * with which its server was built, and these may include a span of the program around the server.
 */
export const trace = <A, E, R>(work: Effect.Effect<A, E, R>): Effect.Effect<A, E, R> =>
  Effect.flatMap(CurrentRequest, (request) =>
    request?.span === undefined
      ? work
      : work.pipe(
          Effect.withParentSpan(request.span, { captureStackTrace: false }),
          Effect.annotateSpans(idAttribute, request.id)
        )
  )
