/**
 * The spans and metrics of sessions and their turns.
 */
import { Cause, Clock, Effect, Exit, Metric, Predicate, type Scope, Tracer } from "effect"
import type { SessionInfo } from "../SessionInfo.ts"
import { CaptureContent, Enabled, failedCloses, openSessions, operationDuration, tokenUsage } from "../Telemetry.ts"
import type { Turn } from "../Turn.ts"

const emit = (metric: Effect.Effect<void>): Effect.Effect<void> =>
  Effect.flatMap(Enabled, (enabled) => (enabled ? metric : Effect.void))

/** One more session is held open. */
export const sessionOpened = emit(Metric.modify(openSessions, 1))

/** A scope gave its session back. */
export const sessionReleased = emit(Metric.modify(openSessions, -1))

/** A session could not be closed at the end of its scope. */
export const closeFailed = emit(Metric.update(failedCloses, 1))

/** The span of a session, and the one that was current where it was opened. */
export interface SessionSpan {
  readonly span: Tracer.AnySpan
  readonly outer: Tracer.AnySpan | undefined
}

const currentSpan = Effect.map(Effect.serviceOption(Tracer.ParentSpan), (span) =>
  span._tag === "Some" ? span.value : undefined
)

/** A span for as long as a scope holds a session; undefined where telemetry is off. */
export const sessionSpan = Effect.fnUntraced(function* (
  agent: string
): Effect.fn.Return<SessionSpan | undefined, never, Scope.Scope> {
  if (!(yield* Enabled)) return undefined
  const outer = yield* currentSpan
  const span = yield* Effect.makeSpanScoped(`session ${agent}`, { attributes: { "gen_ai.agent.name": agent } })
  return { span, outer }
})

/** Where a span of a session goes: under the session, or under a span of the program's own, with a link to the session. */
const placeOf = Effect.fnUntraced(function* (session: SessionSpan | undefined) {
  if (session === undefined) return {}
  const current = yield* currentSpan
  return current === session.outer || current === session.span
    ? { parent: session.span }
    : { links: [{ span: session.span, attributes: {} }] }
})

/** The status that a server answered with, else the error's name. */
const errorType = (error: unknown): string =>
  Predicate.hasProperty(error, "status") && !(Predicate.hasProperty(error, "outcome") && error.outcome === "not-sent")
    ? String(error.status)
    : Predicate.hasProperty(error, "_tag")
      ? String(error._tag)
      : "_OTHER"

const labelsOf = (operation: "create_agent" | "invoke_agent", agent: string) => ({
  "gen_ai.operation.name": operation,
  "gen_ai.provider.name": "clawdforge",
  "gen_ai.agent.name": agent
})

interface Invocation {
  readonly operation: "create_agent" | "invoke_agent"
  readonly agent: string
  readonly session: SessionSpan | undefined
  readonly attributes?: Record<string, unknown> | undefined
}

/** Runs an operation of an agent under its span, and measures how long it took. */
const invocation = Effect.fnUntraced(function* <A, E, R>(
  { agent, attributes, operation, session }: Invocation,
  effect: Effect.Effect<A, E, R>
): Effect.fn.Return<A, E, R> {
  if (!(yield* Enabled)) return yield* effect
  const labels = labelsOf(operation, agent)
  const began = yield* Clock.currentTimeNanos
  const measured = Effect.onExit(effect, (exit) => measure(began, labels, exit))
  return yield* Effect.withSpan(measured, `${operation} ${agent}`, {
    kind: "client",
    attributes: { ...labels, ...attributes },
    captureStackTrace: false,
    ...(yield* placeOf(session))
  })
})

const measure = Effect.fnUntraced(function* (
  began: bigint,
  labels: Record<string, string>,
  exit: Exit.Exit<unknown, unknown>
) {
  const seconds = Number((yield* Clock.currentTimeNanos) - began) / 1e9
  const failed = Exit.isFailure(exit) ? { "error.type": errorType(Cause.squash(exit.cause)) } : {}
  yield* Metric.update(Metric.withAttributes(operationDuration, { ...labels, ...failed }), seconds)
})

/** The creating of a session. */
export const create = <E, R>(
  agent: string,
  session: SessionSpan | undefined,
  effect: Effect.Effect<SessionInfo, E, R>
): Effect.Effect<SessionInfo, E, R> =>
  invocation(
    { operation: "create_agent", agent, session },
    Effect.tap(effect, ({ id, model }) =>
      Effect.annotateCurrentSpan({
        "gen_ai.conversation.id": id,
        ...(model === null ? {} : { "gen_ai.request.model": model })
      })
    )
  )

/** A turn of a session. */
export const turn = Effect.fnUntraced(function* <E, R>(
  { agent, id, model }: SessionInfo,
  session: SessionSpan | undefined,
  prompt: string,
  effect: Effect.Effect<Turn, E, R>
): Effect.fn.Return<Turn, E, R> {
  const content = yield* CaptureContent
  const attributes = {
    "gen_ai.conversation.id": id,
    ...(model === null ? {} : { "gen_ai.request.model": model }),
    ...(content ? { "gen_ai.input.messages": message("user", prompt) } : {})
  }
  return yield* invocation(
    { operation: "invoke_agent", agent, session, attributes },
    Effect.tap(effect, (turn) => tellTurn(agent, content, turn))
  )
})

/** A message as the conventions write one. */
const message = (role: "user" | "assistant", content: string): string =>
  JSON.stringify([{ role, parts: [{ type: "text", content }] }])

const tellTurn = Effect.fnUntraced(function* (agent: string, content: boolean, turn: Turn) {
  if (!(yield* Enabled)) return
  const { inputTokens, outputTokens } = turn.usage ?? {}
  yield* Effect.annotateCurrentSpan({
    ...(turn.stopReason === null ? {} : { "gen_ai.response.finish_reasons": [turn.stopReason] }),
    ...(inputTokens === undefined ? {} : { "gen_ai.usage.input_tokens": inputTokens }),
    ...(outputTokens === undefined ? {} : { "gen_ai.usage.output_tokens": outputTokens }),
    ...(content ? { "gen_ai.output.messages": message("assistant", turn.text) } : {})
  })
  const labels = labelsOf("invoke_agent", agent)
  const count = (type: "input" | "output", tokens: number | undefined) =>
    tokens === undefined
      ? Effect.void
      : Metric.update(Metric.withAttributes(tokenUsage, { ...labels, "gen_ai.token.type": type }), tokens)
  yield* count("input", inputTokens)
  yield* count("output", outputTokens)
})
