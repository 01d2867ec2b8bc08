/**
 * The span of a session: it lasts as long as a scope holds the session, and is the parent of the session's operations.
 *
 * There is none where telemetry is off, and none for a borrowed session.
 */
import { Clock, Effect, type Exit, Metric, Tracer } from "effect"
import type { SessionInfo } from "../../SessionInfo.ts"
import { Enabled, openSessions } from "../../Telemetry.ts"
import * as Label from "./Label.ts"

/** The span of a session, and the span that was current when it was opened. */
export interface SessionSpan {
  /** The name that the caller gave. */
  readonly agent: string
  readonly span: Tracer.Span
  readonly outer: Tracer.AnySpan | undefined
}

/** A stack frame would name this library, not the caller. */
export const noStack = { captureStackTrace: false } as const

const currentSpan = Effect.map(Effect.serviceOption(Tracer.ParentSpan), (span) =>
  span._tag === "Some" ? span.value : undefined
)

/** Starts the span of a session. */
export const make = Effect.fnUntraced(function* (agent: string): Effect.fn.Return<SessionSpan | undefined> {
  if (!(yield* Enabled)) return undefined
  const outer = yield* currentSpan
  const span = yield* Effect.makeSpan(`session ${agent}`, { attributes: { "gen_ai.agent.name": agent } })
  return { agent, span, outer }
})

/** Ends the span of a session, with the exit of its scope: after its close, whose request is a child of it. */
export const end = (session: SessionSpan | undefined, exit: Exit.Exit<unknown, unknown>): Effect.Effect<void> =>
  session === undefined ? Effect.void : Effect.map(Clock.currentTimeNanos, (now) => session.span.end(now, exit))

/** Counts a session that a scope holds from now on. */
export const opened = Effect.fnUntraced(function* (session: SessionSpan | undefined, { id }: SessionInfo) {
  if (session === undefined) return
  if (Label.isConversation(id)) session.span.attribute("gen_ai.conversation.id", id)
  yield* Metric.modify(openSessions, 1)
})

/** Counts a session that its scope has released. */
export const released = (session: SessionSpan | undefined): Effect.Effect<void> =>
  session === undefined ? Effect.void : Metric.modify(openSessions, -1)

/** Whether the caller has a span of its own around the operation. */
const hasOwnSpan = ({ outer, span }: SessionSpan, current: Tracer.AnySpan | undefined): boolean =>
  current !== undefined && current !== outer && current !== span

/** The parent of an operation's span: the session, or the caller's own span, which then links to the session. */
export const placement = Effect.fnUntraced(function* (session: SessionSpan | undefined) {
  if (session === undefined) return {}
  return hasOwnSpan(session, yield* currentSpan)
    ? { links: [{ span: session.span, attributes: {} }] }
    : { parent: session.span }
})

/** Runs another request of a session under its span, unless the caller has a span of its own. */
export const request = <A, E, R>(
  session: SessionSpan | undefined,
  effect: Effect.Effect<A, E, R>
): Effect.Effect<A, E, R> =>
  session === undefined
    ? effect
    : Effect.flatMap(currentSpan, (current) =>
        hasOwnSpan(session, current) ? effect : Effect.withParentSpan(effect, session.span, noStack)
      )
