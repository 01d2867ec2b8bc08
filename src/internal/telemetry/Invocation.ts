/**
 * The spans and metrics of what an agent is asked to do: the creating of a session, turns, runs.
 */
import { type Cause, Clock, Effect, Exit, Metric, type Tracer } from "effect"
import type { Run, RunOptions } from "../../Run.ts"
import type { SessionInfo } from "../../SessionInfo.ts"
import { CaptureContent, Enabled, operationDuration, tokenUsage } from "../../Telemetry.ts"
import type { Turn, Usage } from "../../Turn.ts"
import * as ErrorType from "./ErrorType.ts"
import * as Label from "./Label.ts"
import { noStack, place, type SessionSpan } from "./SessionSpan.ts"

interface Operation<A> {
  readonly name: "create_agent" | "invoke_agent"
  /** The agent, where it is known. */
  readonly agent: string | undefined
  readonly session: SessionSpan | undefined
  readonly attributes: Record<string, unknown>
  /** What there is to tell once it succeeded. */
  readonly tell: (value: A) => {
    readonly attributes: Record<string, unknown>
    readonly usage?: Usage | undefined
  }
}

/** Runs an operation under its span, and measures it. */
const invoke = Effect.fnUntraced(function* <A, E, R>(operation: Operation<A>, effect: Effect.Effect<A, E, R>) {
  const { agent, name, session } = operation
  const labels = {
    "gen_ai.operation.name": name,
    "gen_ai.provider.name": "clawdforge",
    ...(agent === undefined ? {} : { "gen_ai.agent.name": agent })
  }
  const began = yield* Clock.currentTimeNanos
  return yield* Effect.useSpan(
    agent === undefined ? name : `${name} ${agent}`,
    { kind: "client", attributes: { ...labels, ...operation.attributes }, ...(yield* place(session)) },
    (span) =>
      effect.pipe(
        Effect.withParentSpan(span, noStack),
        Effect.onExit((exit) =>
          Exit.isSuccess(exit)
            ? succeeded({ began, labels, span }, operation.tell(exit.value))
            : failed({ began, labels, span }, exit.cause)
        )
      )
  )
})

interface Ending {
  readonly began: bigint
  readonly labels: Record<string, string>
  readonly span: Tracer.Span
}

const measure = Effect.fnUntraced(function* (began: bigint, labels: Record<string, string>) {
  const seconds = Number((yield* Clock.currentTimeNanos) - began) / 1e9
  yield* Metric.update(Metric.withAttributes(operationDuration, labels), seconds)
})

const succeeded = Effect.fnUntraced(function* (
  { began, labels, span }: Ending,
  told: ReturnType<Operation<unknown>["tell"]>
) {
  const { inputTokens: input, outputTokens: output } = told.usage ?? {}
  for (const [name, value] of Object.entries(told.attributes)) span.attribute(name, value)
  yield* measure(began, labels)
  for (const [type, tokens] of Object.entries({ input, output })) {
    if (tokens === undefined) continue
    span.attribute(`gen_ai.usage.${type}_tokens`, tokens)
    yield* Metric.update(Metric.withAttributes(tokenUsage, { ...labels, "gen_ai.token.type": type }), tokens)
  }
})

const failed = Effect.fnUntraced(function* ({ began, labels, span }: Ending, cause: Cause.Cause<unknown>) {
  const type = ErrorType.ofCause(cause)
  span.attribute("error.type", type)
  yield* measure(began, { ...labels, "error.type": type })
})

const modelOf = (model: string | null | undefined) => (Label.isModel(model) ? { "gen_ai.request.model": model } : {})

const conversationOf = (id: string) => (Label.isConversation(id) ? { "gen_ai.conversation.id": id } : {})

/** The creating of a session. */
export const create = <E, R>(
  agent: string,
  model: string | null | undefined,
  session: SessionSpan | undefined,
  effect: Effect.Effect<SessionInfo, E, R>
): Effect.Effect<SessionInfo, E, R> =>
  session === undefined
    ? effect
    : invoke(
        {
          name: "create_agent",
          agent,
          session,
          attributes: modelOf(model),
          tell: ({ id, model }) => ({ attributes: { ...conversationOf(id), ...modelOf(model) } })
        },
        effect
      )

/** A turn of a session. */
export const turn = Effect.fnUntraced(function* <E, R>(
  { agent, id, model }: SessionInfo,
  session: SessionSpan | undefined,
  prompt: string,
  effect: Effect.Effect<Turn, E, R>
): Effect.fn.Return<Turn, E, R> {
  if (!(yield* Enabled)) return yield* effect
  const content = yield* CaptureContent
  return yield* invoke(
    {
      name: "invoke_agent",
      agent: session?.agent ?? (Label.isAgent(agent) ? agent : undefined),
      session,
      attributes: {
        ...conversationOf(id),
        ...modelOf(model),
        ...(content ? question(prompt) : {})
      },
      tell: ({ stopReason, text: said, usage }) => ({
        usage,
        attributes: { ...reasons(stopReason), ...(content ? answer(said, stopReason) : {}) }
      })
    },
    effect
  )
})

/** A run, whose agent is the server's own. */
export const run = Effect.fnUntraced(function* <E, R>(
  prompt: string,
  { model, system }: RunOptions,
  effect: Effect.Effect<Run, E, R>
): Effect.fn.Return<Run, E, R> {
  if (!(yield* Enabled)) return yield* effect
  const content = yield* CaptureContent
  return yield* invoke(
    {
      name: "invoke_agent",
      agent: undefined,
      session: undefined,
      attributes: {
        ...modelOf(model),
        ...(content ? question(prompt) : {}),
        ...(content && system ? { "gen_ai.system_instructions": JSON.stringify([text(system)]) } : {})
      },
      tell: ({ result, stopReason, usage }) => ({
        usage,
        attributes: {
          ...reasons(stopReason),
          ...(content ? answer(typeof result === "string" ? result : JSON.stringify(result), stopReason) : {})
        }
      })
    },
    effect
  )
})

const text = (content: string) => ({ type: "text", content })

const messages = (message: object): string => JSON.stringify([message])

const question = (prompt: string) => ({
  "gen_ai.input.messages": messages({ role: "user", parts: [text(prompt)] })
})

const answer = (said: string, stopReason: string | null) => ({
  "gen_ai.output.messages": messages({ role: "assistant", parts: [text(said)], finish_reason: stopReason ?? "stop" })
})

const reasons = (stopReason: string | null) =>
  Label.isStopReason(stopReason) ? { "gen_ai.response.finish_reasons": [stopReason] } : {}
