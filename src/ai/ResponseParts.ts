/**
 * Turns as the parts of a response of `effect/ai`.
 */
import { DateTime, Effect, Predicate, Schema } from "effect"
import { Response, Tool } from "effect/ai"
import type * as Turn from "../Turn.ts"
import type { TurnEvent } from "../TurnEvent.ts"
import * as ChatSessions from "./ChatSessions.ts"

const reasons: Readonly<Record<string, Response.FinishReason>> = {
  end_turn: "stop",
  max_tokens: "length",
  max_turn_requests: "length",
  refusal: "content-filter"
}

const isJson = Schema.is(Schema.Json)

/** A value as JSON, as far as it is. */
const toJson = (value: unknown): Schema.MutableJson => {
  const json: unknown = JSON.parse(JSON.stringify(value) ?? "null")
  // Boundary: of the type checker. What JSON.parse returns belongs to no one else.
  return isJson(json) ? (json as Schema.MutableJson) : null
}

const usageOf = ({ usage = {} }: Turn.Turn): typeof Response.Usage.Encoded => {
  const { cachedTokens, inputTokens, outputTokens } = usage
  const uncached = inputTokens === undefined || cachedTokens === undefined ? undefined : inputTokens - cachedTokens
  return {
    inputTokens: { uncached, total: inputTokens, cacheRead: cachedTokens, cacheWrite: undefined },
    outputTokens: { total: outputTokens, text: undefined, reasoning: undefined }
  }
}

type ToolCall = Extract<TurnEvent, { readonly _tag: "ToolCall" }>

const paramsOf = ({ args, rawInput }: ToolCall): unknown => args ?? rawInput ?? {}

const isEncodedOf = (schema: Schema.Constraint) => Schema.is(Schema.toEncoded(schema))

/** A tool of the agent, and what its calls have to be. */
const declared = (tool: Tool.Any) => ({
  name: tool.name,
  isParameters: isEncodedOf(tool.parametersSchema),
  isSuccess: isEncodedOf(tool.successSchema),
  isFailure: isEncodedOf(Tool.failureResultSchema(tool))
})

const failed = ({ status }: ToolCall): boolean => status !== "completed"

/** The tools of the agent that the caller declares. */
export class DeclaredTools {
  readonly #tools: ReadonlyMap<string, ReturnType<typeof declared>>

  constructor(tools: ReadonlyArray<Tool.Any>) {
    const names = new Tool.NameMapper(tools)
    this.#tools = new Map(tools.map((tool) => [names.getProviderName(tool.name), declared(tool)]))
  }

  /** Whether a call is of a tool that is declared, and as declared: a part that is not would fail the call of the model. */
  has(call: ToolCall): boolean {
    const tool = this.#tools.get(call.name)
    const isResult = failed(call) ? tool?.isFailure : tool?.isSuccess
    return tool?.isParameters(paramsOf(call)) === true && isResult?.(call.result ?? null) === true
  }

  /** A call that has ended, and what came of it. */
  partsOf(call: ToolCall, index: number): ReadonlyArray<Response.ToolCallPartEncoded | Response.ToolResultPartEncoded> {
    const id = call.id ?? `tool-${index}`
    const name = this.#tools.get(call.name)?.name ?? call.name
    const result = call.result ?? null
    return [
      { type: "tool-call", id, name, params: paramsOf(call), providerExecuted: true },
      { type: "tool-result", id, name, result, isFailure: failed(call), providerExecuted: true }
    ]
  }
}

/** What the response says of itself. */
export const metadataOf = Effect.fnUntraced(function* (turn: Turn.Turn, place: ChatSessions.Place) {
  const { id, info } = place.session
  const part: Response.ResponseMetadataPartEncoded = {
    type: "response-metadata",
    id: ChatSessions.responseId(id, turn.index),
    modelId: info.model ?? info.agent,
    timestamp: DateTime.formatIso(yield* DateTime.now)
  }
  return part
})

/** The end of a response. Calls of tools that the caller does not declare, or declares otherwise, are in its metadata. */
export const finishOf = (
  turn: Turn.Turn,
  { anew }: ChatSessions.Place,
  tools: DeclaredTools
): Response.FinishPartEncoded => {
  const calls = turn.events.filter((event) => event._tag === "ToolCall" && !tools.has(event))
  const metadata: Record<string, Schema.MutableJson> = {
    stopReason: turn.stopReason,
    ...(anew === undefined ? {} : { anew }),
    ...(calls.length === 0 ? {} : { toolCalls: toJson(calls) }),
    ...(turn.usage?.costUsd === undefined ? {} : { costUsd: turn.usage.costUsd })
  }
  return {
    type: "finish",
    reason: reasons[turn.stopReason ?? ""] ?? "other",
    usage: usageOf(turn),
    response: undefined,
    metadata: { clawdforge: metadata }
  }
}

/** The parts of a turn that has ended, between its metadata and its finish. */
export const contentOf = (turn: Turn.Turn, tools: DeclaredTools): ReadonlyArray<Response.PartEncoded> =>
  turn.events.flatMap((event, index): ReadonlyArray<Response.PartEncoded> => {
    if (event._tag === "Text") return [{ type: "text", text: event.content }]
    if (event._tag === "Thinking") return [{ type: "reasoning", text: event.content }]
    return event._tag === "ToolCall" && tools.has(event) ? tools.partsOf(event, index) : []
  })

type Chunk = Extract<TurnEvent, { readonly _tag: "Text" | "Thinking" }>

const kindOf = ({ _tag }: Chunk) => (_tag === "Text" ? "text" : "reasoning")

const hasEnded = ({ status }: ToolCall) => status === "completed" || status === "failed"

/** Makes the parts of a turn while it happens, event by event. */
export const makeStreamer = (tools: DeclaredTools) => {
  let open: { readonly kind: "reasoning" | "text"; readonly id: string } | undefined
  let count = 0
  /** The calls that have no parts yet, and the ids of those that have. */
  const waiting = new Map<string, ToolCall>()
  const given = new Set<string>()
  const close = (): ReadonlyArray<Response.StreamPartEncoded> => {
    if (open === undefined) return []
    const part: Response.StreamPartEncoded = { type: `${open.kind}-end`, id: open.id }
    open = undefined
    return [part]
  }
  const chunk = (event: Chunk): ReadonlyArray<Response.StreamPartEncoded> => {
    const kind = kindOf(event)
    const before = open?.kind === kind ? [] : close()
    const current = open ?? { kind, id: `${kind}-${++count}` }
    const start: ReadonlyArray<Response.StreamPartEncoded> =
      open === undefined ? [{ type: `${kind}-start`, id: current.id }] : []
    open = current
    return [...before, ...start, { type: `${kind}-delta`, id: current.id, delta: event.content }]
  }
  const toolCall = (event: ToolCall): ReadonlyArray<Response.StreamPartEncoded> => {
    const id = event.id ?? `call-${++count}`
    if (given.has(id)) return []
    if (!hasEnded(event)) {
      waiting.set(id, event)
      return []
    }
    waiting.delete(id)
    given.add(id)
    return tools.has(event) ? [...close(), ...tools.partsOf(event, ++count)] : []
  }
  return {
    add: (event: TurnEvent): ReadonlyArray<Response.StreamPartEncoded> => {
      if (event._tag === "Text" || event._tag === "Thinking") return chunk(event)
      return event._tag === "ToolCall" ? toolCall(event) : []
    },
    /** The turn has ended, and with it the calls that have no end of their own. */
    end: (): ReadonlyArray<Response.StreamPartEncoded> => {
      const unended = [...waiting.values()].filter((call) => tools.has(call))
      return [...close(), ...unended.flatMap((call) => tools.partsOf(call, ++count))]
    }
  }
}

/** The tools of a call that are of the program, which an agent cannot call. */
export const notDeclared = (tools: ReadonlyArray<Tool.Any>): string | undefined =>
  tools.find((tool) => !Predicate.hasProperty(tool, "providerName"))?.name
