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

/** The tools of the agent that the caller declares. */
export class DeclaredTools {
  readonly #names: Tool.NameMapper<ReadonlyArray<Tool.Any>>

  constructor(tools: ReadonlyArray<Tool.Any>) {
    this.#names = new Tool.NameMapper(tools)
  }

  has({ name }: ToolCall): boolean {
    return this.#names.providerNames.includes(name)
  }

  /** A call that has ended, and what came of it. */
  partsOf(call: ToolCall, index: number): ReadonlyArray<Response.ToolCallPartEncoded | Response.ToolResultPartEncoded> {
    const id = call.id ?? `tool-${index}`
    const name = this.#names.getCustomName(call.name)
    const params = call.args ?? call.rawInput ?? {}
    const isFailure = call.status !== "completed"
    return [
      { type: "tool-call", id, name, params, providerExecuted: true },
      { type: "tool-result", id, name, result: call.result ?? null, isFailure, providerExecuted: true }
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

/** The end of a response. Calls of tools that the caller does not declare are in its metadata. */
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
  return {
    add: (event: TurnEvent): ReadonlyArray<Response.StreamPartEncoded> => {
      if (event._tag === "Text" || event._tag === "Thinking") return chunk(event)
      if (event._tag !== "ToolCall" || !tools.has(event) || !hasEnded(event)) return []
      return [...close(), ...tools.partsOf(event, ++count)]
    },
    close
  }
}

/** The tools of a call that are of the program, which an agent cannot call. */
export const notDeclared = (tools: ReadonlyArray<Tool.Any>): string | undefined =>
  tools.find((tool) => !Predicate.hasProperty(tool, "providerName"))?.name
