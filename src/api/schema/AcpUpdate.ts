/**
 * What an update of the Agent Client Protocol becomes as a turn event.
 *
 * Both ends use it: the server for what its agents say, the client for servers that pass their agent's messages on as
 * they came. A kind that is not known, or is not of its shape, becomes `Unknown` with all that was in it.
 */
import { Option, Schema } from "effect"
import type { ToolCall, TurnEvent } from "./TurnEvent.ts"

/** The tool calls of one turn as the agent has described them so far, by id. */
export type ToolCalls = Map<string, Readonly<Record<string, unknown>>>

const Fields = Schema.Record(Schema.String, Schema.Unknown)
const isFields = Schema.is(Fields)

const Chunk = Schema.Struct({ content: Schema.Unknown, messageId: Schema.optionalKey(Schema.NullOr(Schema.String)) })
const isTextBlock = Schema.is(Schema.Struct({ type: Schema.Literal("text"), text: Schema.String }))

const Call = Schema.Struct({
  toolCallId: Schema.String,
  name: Schema.optionalKey(Schema.String),
  title: Schema.optionalKey(Schema.String),
  kind: Schema.optionalKey(Schema.String),
  status: Schema.optionalKey(Schema.String),
  rawInput: Schema.optionalKey(Schema.Unknown),
  rawOutput: Schema.optionalKey(Schema.Unknown),
  content: Schema.optionalKey(Schema.Array(Schema.Unknown)),
  locations: Schema.optionalKey(Schema.Array(Schema.Unknown)),
  _meta: Schema.optionalKey(Schema.Unknown)
})
const decodeCall = Schema.decodeUnknownOption(Call)
const isClaudeMeta = Schema.is(Schema.Struct({ claudeCode: Schema.Struct({ toolName: Schema.String }) }))

/** A tool's input, in the field that its shape allows. */
export const toolInput = (input: unknown): Pick<ToolCall, "args" | "rawInput"> =>
  input === undefined ? {} : isFields(input) ? { args: input } : { rawInput: input }

const nameOf = (call: typeof Call.Type): string =>
  call.name ?? (isClaudeMeta(call._meta) ? call._meta.claudeCode.toolName : undefined) ?? call.title ?? "tool"

const resultOf = (call: typeof Call.Type): Pick<ToolCall, "result" | "blocks"> => {
  const blocks = call.content !== undefined && call.content.length > 0 ? { blocks: call.content } : {}
  if (call.status !== "completed" && call.status !== "failed") return blocks
  if (call.rawOutput !== undefined) return { ...blocks, result: call.rawOutput }
  return call.content === undefined ? {} : { result: call.content }
}

const toToolCall = (call: typeof Call.Type): TurnEvent => ({
  _tag: "ToolCall",
  name: nameOf(call),
  id: call.toolCallId,
  ...(call.title === undefined ? {} : { title: call.title }),
  ...(call.kind === undefined ? {} : { kind: call.kind }),
  ...(call.status === undefined ? {} : { status: call.status }),
  ...toolInput(call.rawInput),
  ...resultOf(call),
  ...(call.locations === undefined || call.locations.length === 0 ? {} : { locations: call.locations })
})

type Read = (update: Readonly<Record<string, unknown>>, calls: ToolCalls) => Option.Option<TurnEvent>

const reader = <S extends Schema.ConstraintDecoder<unknown>>(
  schema: S,
  make: (value: S["Type"]) => TurnEvent
): Read => {
  const decode = Schema.decodeUnknownOption(schema)
  return (update) => Option.map(decode(update), make)
}

const chunk = (role: "agent" | "thought" | "user", tag?: "Text" | "Thinking"): Read =>
  reader(Chunk, ({ content, messageId }) =>
    tag !== undefined && isTextBlock(content)
      ? { _tag: tag, content: content.text, ...(messageId ? { messageId } : {}) }
      : { _tag: "Content", role, block: content }
  )

/** A patch on a tool call: what is absent stays, null clears, a value replaces. */
const toolCall: Read = (update, calls) => {
  const before = typeof update["toolCallId"] === "string" ? calls.get(update["toolCallId"]) : undefined
  const merged = Object.fromEntries(Object.entries({ ...before, ...update }).filter(([, value]) => value !== null))
  return Option.map(decodeCall(merged), (call) => {
    calls.set(call.toolCallId, merged)
    return toToolCall(call)
  })
}

const readers: Readonly<Record<string, Read>> = {
  agent_message_chunk: chunk("agent", "Text"),
  agent_thought_chunk: chunk("thought", "Thinking"),
  user_message_chunk: chunk("user"),
  tool_call: toolCall,
  tool_call_update: toolCall,
  plan: reader(
    Schema.Struct({
      entries: Schema.Array(
        Schema.Struct({
          content: Schema.String,
          priority: Schema.optionalKey(Schema.String),
          status: Schema.optionalKey(Schema.String)
        })
      )
    }),
    ({ entries }) => ({ _tag: "Plan", entries })
  ),
  usage_update: reader(
    Schema.Struct({
      used: Schema.optionalKey(Schema.Finite),
      size: Schema.optionalKey(Schema.Finite),
      cost: Schema.optionalKey(Schema.NullOr(Schema.Struct({ amount: Schema.Finite, currency: Schema.String })))
    }),
    ({ cost, size, used }) => ({
      _tag: "Usage",
      ...(used === undefined ? {} : { used }),
      ...(size === undefined ? {} : { size }),
      ...(cost ? { cost } : {})
    })
  ),
  current_mode_update: reader(Schema.Struct({ currentModeId: Schema.String }), ({ currentModeId }) => ({
    _tag: "Mode",
    modeId: currentModeId
  })),
  config_option_update: reader(Schema.Struct({ configOptions: Schema.Array(Schema.Unknown) }), (update) => ({
    _tag: "Config",
    options: update.configOptions
  })),
  available_commands_update: reader(Schema.Struct({ availableCommands: Schema.Array(Schema.Unknown) }), (update) => ({
    _tag: "Commands",
    commands: update.availableCommands
  })),
  session_info_update: reader(
    Schema.Struct({
      title: Schema.optionalKey(Schema.NullOr(Schema.String)),
      updatedAt: Schema.optionalKey(Schema.NullOr(Schema.String))
    }),
    (info) => ({ _tag: "SessionInfo", ...info })
  ),
  notice: (update) => Option.some({ _tag: "Notice", update }),
  compaction_update: (update) => Option.some({ _tag: "Compaction", update }),
  compaction_summary_chunk: (update) => Option.some({ _tag: "Compaction", update })
}

/**
 * The event that an update becomes. `calls` carries the tool calls of the turn from one update to the next, so that
 * each `ToolCall` event shows the call as it stands.
 */
export const toEvent = (update: unknown, calls: ToolCalls): TurnEvent => {
  if (!isFields(update)) return { _tag: "Unknown", raw: update }
  const kind = update["sessionUpdate"]
  const read = typeof kind === "string" && Object.hasOwn(readers, kind) ? readers[kind] : undefined
  return Option.getOrElse(read?.(update, calls) ?? Option.none<TurnEvent>(), () => ({ _tag: "Unknown", raw: update }))
}
