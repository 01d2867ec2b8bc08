/**
 * The spans and metrics of agent operations: creating a session, turns, runs.
 */
import { type Cause, Clock, Effect, Exit, Metric, type Tracer } from "effect"
import type { Run } from "../../Run.ts"
import type { SessionInfo } from "../../SessionInfo.ts"
import { CaptureContent, Enabled, operationDuration, timeToFirstChunk, tokenUsage } from "../../Telemetry.ts"
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

/** An operation that has begun. */
export interface Begun<A> {
  /** The parent of its requests' spans. */
  readonly span: Tracer.Span
  /** Records that the first part of a streamed answer has arrived. */
  readonly firstPart: Effect.Effect<void>
  readonly end: (exit: Exit.Exit<A, unknown>) => Effect.Effect<void>
}

/** Begins an operation under a span. */
const begin = Effect.fnUntraced(function* <A>(spec: SpanSpec<A>): Effect.fn.Return<Begun<A>> {
  const { agent, name, session } = spec
  const labels = {
    "gen_ai.operation.name": name,
    "gen_ai.provider.name": "clawdforge",
    ...(agent === undefined ? {} : { "gen_ai.agent.name": agent })
  }
  const began = yield* Clock.currentTimeNanos
  const span = yield* Effect.makeSpan(agent === undefined ? name : `${name} ${agent}`, {
    kind: "client",
    attributes: { ...labels, ...spec.attributes },
    ...(yield* placement(session))
  })
  const seconds = Effect.map(Clock.currentTimeNanos, (now) => Number(now - began) / 1e9)
  const record = (metric: typeof operationDuration, more: Record<string, string> = {}) =>
    Effect.flatMap(seconds, (value) => Metric.update(Metric.withAttributes(metric, { ...labels, ...more }), value))

  const succeeded = Effect.fnUntraced(function* (value: A) {
    const { attributes, usage } = spec.onSuccess(value)
    const { inputTokens: input, outputTokens: output } = usage ?? {}
    for (const [name, value] of Object.entries(attributes)) span.attribute(name, value)
    yield* record(operationDuration)
    for (const [type, tokens] of Object.entries({ input, output })) {
      if (tokens === undefined) continue
      span.attribute(`gen_ai.usage.${type}_tokens`, tokens)
      yield* Metric.update(Metric.withAttributes(tokenUsage, { ...labels, "gen_ai.token.type": type }), tokens)
    }
  })

  const failed = (cause: Cause.Cause<unknown>) => {
    const type = ErrorType.ofCause(cause)
    span.attribute("error.type", type)
    return record(operationDuration, { "error.type": type })
  }

  return {
    span,
    firstPart: record(timeToFirstChunk),
    end: Effect.fnUntraced(function* (exit) {
      yield* Exit.isSuccess(exit) ? succeeded(exit.value) : failed(exit.cause)
      span.end(yield* Clock.currentTimeNanos, exit)
    })
  }
})

/** Runs an operation under its span, and records its duration. */
const invoke = <A, E, R>(spec: SpanSpec<A>, effect: Effect.Effect<A, E, R>): Effect.Effect<A, E, R> =>
  Effect.acquireUseRelease(
    begin(spec),
    ({ span }) => Effect.withParentSpan(effect, span, noStack),
    ({ end }, exit) => end(exit)
  )

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

const turnSpec = (
  { agent, id, model }: SessionInfo,
  session: SessionSpan | undefined,
  prompt: string,
  content: boolean
): SpanSpec<Turn> => ({
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
})

/** A turn of a session. */
export const turn = Effect.fnUntraced(function* <E, R>(
  info: SessionInfo,
  session: SessionSpan | undefined,
  prompt: string,
  effect: Effect.Effect<Turn, E, R>
): Effect.fn.Return<Turn, E, R> {
  if (!(yield* Enabled)) return yield* effect
  return yield* invoke(turnSpec(info, session, prompt, yield* CaptureContent), effect)
})

/** A turn that is streamed; undefined where telemetry is off. */
export const beginTurn = Effect.fnUntraced(function* (
  info: SessionInfo,
  session: SessionSpan | undefined,
  prompt: string
): Effect.fn.Return<Begun<Turn> | undefined> {
  return (yield* Enabled) ? yield* begin(turnSpec(info, session, prompt, yield* CaptureContent)) : undefined
})

const runSpec = ({ agent, model, prompt, system }: PreparedRun, content: boolean): SpanSpec<Run> => ({
  name: "invoke_agent",
  agent,
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
})

/** A run; its agent is only known where it is asked for. */
export const run = Effect.fnUntraced(function* <E, R>(
  prepared: PreparedRun,
  effect: Effect.Effect<Run, E, R>
): Effect.fn.Return<Run, E, R> {
  return (yield* Enabled) ? yield* invoke(runSpec(prepared, yield* CaptureContent), effect) : yield* effect
})

/** A run that is streamed; undefined where telemetry is off. */
export const beginRun = Effect.fnUntraced(function* (prepared: PreparedRun): Effect.fn.Return<Begun<Run> | undefined> {
  return (yield* Enabled) ? yield* begin(runSpec(prepared, yield* CaptureContent)) : undefined
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
