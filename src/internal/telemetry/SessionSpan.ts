/**
 * The span of a session: it lasts as long as a scope holds the session, and what is done with it goes below.
 *
 * There is none where telemetry is off, and none for a session that is only borrowed.
 */
import { Effect, Metric, type Scope, Tracer } from "effect"
import type { SessionInfo } from "../../SessionInfo.ts"
import { Enabled, openSessions } from "../../Telemetry.ts"
import * as Label from "./Label.ts"

/** The span of a session, and the one that was current where it was opened. */
export interface SessionSpan {
  /** As the caller named it. */
  readonly agent: string
  readonly span: Tracer.Span
  readonly outer: Tracer.AnySpan | undefined
}

/** The stack of a span is for names of functions; these are names of the conventions. */
export const noStack = { captureStackTrace: false } as const

const currentSpan = Effect.map(Effect.serviceOption(Tracer.ParentSpan), (span) =>
  span._tag === "Some" ? span.value : undefined
)

/** A span for as long as a scope holds a session. */
export const make = Effect.fnUntraced(function* (
  agent: string
): Effect.fn.Return<SessionSpan | undefined, never, Scope.Scope> {
  if (!(yield* Enabled)) return undefined
  const outer = yield* currentSpan
  const span = yield* Effect.makeSpanScoped(`session ${agent}`, { attributes: { "gen_ai.agent.name": agent } })
  return { agent, span, outer }
})

/** A session is open: one more is held by this program. */
export const opened = Effect.fnUntraced(function* (session: SessionSpan | undefined, { id }: SessionInfo) {
  if (session === undefined) return
  if (Label.isConversation(id)) session.span.attribute("gen_ai.conversation.id", id)
  yield* Metric.modify(openSessions, 1)
})

/** A scope gave its session back. */
export const released = (session: SessionSpan | undefined): Effect.Effect<void> =>
  session === undefined ? Effect.void : Metric.modify(openSessions, -1)

/** Whether a program has a span of its own around what it does with a session. */
const isElsewhere = ({ outer, span }: SessionSpan, current: Tracer.AnySpan | undefined): boolean =>
  current !== undefined && current !== outer && current !== span

/** Where the span of an operation goes: under its session, or where the program has it, with a link to the session. */
export const place = Effect.fnUntraced(function* (session: SessionSpan | undefined) {
  if (session === undefined) return {}
  return isElsewhere(session, yield* currentSpan)
    ? { links: [{ span: session.span, attributes: {} }] }
    : { parent: session.span }
})

/** A request of a session that is no turn: under its span too, unless the program has one of its own. */
export const request = <A, E, R>(
  session: SessionSpan | undefined,
  effect: Effect.Effect<A, E, R>
): Effect.Effect<A, E, R> =>
  session === undefined
    ? effect
    : Effect.flatMap(currentSpan, (current) =>
        isElsewhere(session, current) ? effect : Effect.withParentSpan(effect, session.span, noStack)
      )
