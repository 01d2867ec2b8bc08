/**
 * The spans and metrics of agent operations: creating a session, turns, runs.
 */
import { type Cause, Clock, Effect, Exit, Metric, type Tracer } from "effect"
import type { Run } from "../../Run.ts"
import type { SessionInfo } from "../../SessionInfo.ts"
import { CaptureContent, Enabled, operationDuration, tokenUsage } from "../../Telemetry.ts"
import type { Turn, Usage } from "../../Turn.ts"
import type { PreparedRun } from "../calls/Runs.ts"
import * as ErrorType from "./ErrorType.ts"
import * as Label from "./Label.ts"
import { noStack, placement, type SessionSpan } from "./SessionSpan.ts"

interface SpanSpec<A> {
  readonly name: "create_agent" | "invoke_agent"
  /** Undefined where it is not known. */
  readonly agent: string | undefined
  readonly session: SessionSpan | undefined
  readonly attributes: Record<string, unknown>
  /** What a success adds to the span and the metrics. */
  readonly onSuccess: (value: A) => {
    readonly attributes: Record<string, unknown>
    readonly usage?: Usage | undefined
  }
}

/** Runs an operation under its span, and records its duration. */
const invoke = Effect.fnUntraced(function* <A, E, R>(spec: SpanSpec<A>, effect: Effect.Effect<A, E, R>) {
  const { agent, name, session } = spec
  const labels = {
    "gen_ai.operation.name": name,
    "gen_ai.provider.name": "clawdforge",
    ...(agent === undefined ? {} : { "gen_ai.agent.name": agent })
  }
  const began = yield* Clock.currentTimeNanos
  return yield* Effect.useSpan(
    agent === undefined ? name : `${name} ${agent}`,
    { kind: "client", attributes: { ...labels, ...spec.attributes }, ...(yield* placement(session)) },
    (span) =>
      effect.pipe(
        Effect.withParentSpan(span, noStack),
        Effect.onExit((exit) =>
          Exit.isSuccess(exit)
            ? succeeded({ began, labels, span }, spec.onSuccess(exit.value))
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

const recordDuration = Effect.fnUntraced(function* (began: bigint, labels: Record<string, string>) {
  const seconds = Number((yield* Clock.currentTimeNanos) - began) / 1e9
  yield* Metric.update(Metric.withAttributes(operationDuration, labels), seconds)
})

const succeeded = Effect.fnUntraced(function* (
  { began, labels, span }: Ending,
  result: ReturnType<SpanSpec<unknown>["onSuccess"]>
) {
  const { inputTokens: input, outputTokens: output } = result.usage ?? {}
  for (const [name, value] of Object.entries(result.attributes)) span.attribute(name, value)
  yield* recordDuration(began, labels)
  for (const [type, tokens] of Object.entries({ input, output })) {
    if (tokens === undefined) continue
    span.attribute(`gen_ai.usage.${type}_tokens`, tokens)
    yield* Metric.update(Metric.withAttributes(tokenUsage, { ...labels, "gen_ai.token.type": type }), tokens)
  }
})

const failed = Effect.fnUntraced(function* ({ began, labels, span }: Ending, cause: Cause.Cause<unknown>) {
  const type = ErrorType.ofCause(cause)
  span.attribute("error.type", type)
  yield* recordDuration(began, { ...labels, "error.type": type })
})

const modelOf = (model: string | null | undefined) => (Label.isModel(model) ? { "gen_ai.request.model": model } : {})

const conversationOf = (id: string) => (Label.isConversation(id) ? { "gen_ai.conversation.id": id } : {})

/** Creating a session. */
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
          onSuccess: ({ id, model }) => ({ attributes: { ...conversationOf(id), ...modelOf(model) } })
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
        ...(content ? inputMessages(prompt) : {})
      },
      onSuccess: ({ stopReason, text: output, usage }) => ({
        usage,
        attributes: { ...finishReasons(stopReason), ...(content ? outputMessages(output, stopReason) : {}) }
      })
    },
    effect
  )
})

/** A run; its agent is the server's default. */
export const run = Effect.fnUntraced(function* <E, R>(
  { model, prompt, system }: PreparedRun,
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
        ...(content ? inputMessages(prompt) : {}),
        ...(content && system ? { "gen_ai.system_instructions": JSON.stringify([text(system)]) } : {})
      },
      onSuccess: ({ result, stopReason, usage }) => ({
        usage,
        attributes: {
          ...finishReasons(stopReason),
          ...(content ? outputMessages(typeof result === "string" ? result : JSON.stringify(result), stopReason) : {})
        }
      })
    },
    effect
  )
})

const text = (content: string) => ({ type: "text", content })

const messages = (message: object): string => JSON.stringify([message])

const inputMessages = (prompt: string) => ({
  "gen_ai.input.messages": messages({ role: "user", parts: [text(prompt)] })
})

const outputMessages = (output: string, stopReason: string | null) => ({
  "gen_ai.output.messages": messages({ role: "assistant", parts: [text(output)], finish_reason: stopReason ?? "stop" })
})

const finishReasons = (stopReason: string | null) =>
  Label.isStopReason(stopReason) ? { "gen_ai.response.finish_reasons": [stopReason] } : {}
