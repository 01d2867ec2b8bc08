/**
 * The events of a turn in their normalised form: `type` and snake_case on the wire, `_tag` and camelCase in memory.
 *
 * Encoding is strict, because older clients fail a whole turn on one odd event. Reading what others send is the work of
 * `TurnEvents.decode`.
 */
import { Schema } from "effect"

const message = { messageId: Schema.optionalKey(Schema.String) }
const text = { content: Schema.String, ...message }
const messageKeys = { _tag: "type", messageId: "message_id" } as const

/** What the agent said. */
export const Text = Schema.Struct({ _tag: Schema.Literal("text").transform("Text"), ...text }).pipe(
  Schema.encodeKeys(messageKeys)
)

/** What the agent thought. */
export const Thinking = Schema.Struct({ _tag: Schema.Literal("thinking").transform("Thinking"), ...text }).pipe(
  Schema.encodeKeys(messageKeys)
)

/** A block that is no text, or one of the user's own message. */
export const Content = Schema.Struct({
  _tag: Schema.Literal("content").transform("Content"),
  role: Schema.Literals(["agent", "thought", "user"]),
  block: Schema.Unknown,
  ...message
}).pipe(Schema.encodeKeys(messageKeys))

/**
 * A tool call as it stands: a later one with the same id takes the place of an earlier. What a tool shows beside its
 * result (diffs, terminals) is in `blocks`, since older clients want `content` to be a string wherever it stands.
 */
export const ToolCall = Schema.Struct({
  _tag: Schema.Literal("tool_call").transform("ToolCall"),
  name: Schema.String,
  id: Schema.optionalKey(Schema.String),
  title: Schema.optionalKey(Schema.String),
  kind: Schema.optionalKey(Schema.String),
  status: Schema.optionalKey(Schema.String),
  args: Schema.optionalKey(Schema.Record(Schema.String, Schema.Unknown)),
  rawInput: Schema.optionalKey(Schema.Unknown),
  result: Schema.optionalKey(Schema.Unknown),
  blocks: Schema.optionalKey(Schema.Array(Schema.Unknown)),
  locations: Schema.optionalKey(Schema.Array(Schema.Unknown))
}).pipe(Schema.encodeKeys({ _tag: "type", rawInput: "raw_input" }))

/** Whatever else stands in an object stays in it. */
const rest = [Schema.Record(Schema.String, Schema.Unknown)] as const

export interface PlanEntry {
  readonly content: string
  readonly priority?: string | undefined
  readonly status?: string | undefined
}

/** One step of a plan. */
export const PlanEntry: Schema.Codec<PlanEntry> = Schema.StructWithRest(
  Schema.Struct({
    content: Schema.String,
    priority: Schema.optionalKey(Schema.String),
    status: Schema.optionalKey(Schema.String)
  }),
  rest
)

/** The agent's plan; each one replaces the one before. */
export const Plan = Schema.Struct({
  _tag: Schema.Literal("plan").transform("Plan"),
  entries: Schema.Array(PlanEntry)
}).pipe(Schema.encodeKeys({ _tag: "type" }))

export interface Cost {
  readonly amount: number
  readonly currency: string
}

/** Money. */
export const Cost: Schema.Codec<Cost> = Schema.StructWithRest(
  Schema.Struct({ amount: Schema.Finite, currency: Schema.String }),
  rest
)

/** How much of the context window is used, and what the session has cost. */
export const UsageUpdate = Schema.Struct({
  _tag: Schema.Literal("usage").transform("Usage"),
  used: Schema.optionalKey(Schema.Finite),
  size: Schema.optionalKey(Schema.Finite),
  cost: Schema.optionalKey(Cost),
  inputTokens: Schema.optionalKey(Schema.Finite),
  outputTokens: Schema.optionalKey(Schema.Finite),
  cachedTokens: Schema.optionalKey(Schema.Finite),
  totalTokens: Schema.optionalKey(Schema.Finite)
}).pipe(
  Schema.encodeKeys({
    _tag: "type",
    inputTokens: "input_tokens",
    outputTokens: "output_tokens",
    cachedTokens: "cached_tokens",
    totalTokens: "total_tokens"
  })
)

/** The agent is in another mode. */
export const Mode = Schema.Struct({ _tag: Schema.Literal("mode").transform("Mode"), modeId: Schema.String }).pipe(
  Schema.encodeKeys({ _tag: "type", modeId: "mode_id" })
)

/** The agent's options (model, effort) as they stand now. */
export const Config = Schema.Struct({
  _tag: Schema.Literal("config").transform("Config"),
  options: Schema.Array(Schema.Unknown)
}).pipe(Schema.encodeKeys({ _tag: "type" }))

/** The commands that the agent offers now. */
export const Commands = Schema.Struct({
  _tag: Schema.Literal("commands").transform("Commands"),
  commands: Schema.Array(Schema.Unknown)
}).pipe(Schema.encodeKeys({ _tag: "type" }))

/** The agent named its session. */
export const SessionInfo = Schema.Struct({
  _tag: Schema.Literal("session_info").transform("SessionInfo"),
  title: Schema.optionalKey(Schema.NullOr(Schema.String)),
  updatedAt: Schema.optionalKey(Schema.NullOr(Schema.String))
}).pipe(Schema.encodeKeys({ _tag: "type", updatedAt: "updated_at" }))

/** The agent has something to tell its operator. */
export const Notice = Schema.Struct({
  _tag: Schema.Literal("notice").transform("Notice"),
  update: Schema.Unknown
}).pipe(Schema.encodeKeys({ _tag: "type" }))

/** The agent compacted its context. */
export const Compaction = Schema.Struct({
  _tag: Schema.Literal("compaction").transform("Compaction"),
  update: Schema.Unknown
}).pipe(Schema.encodeKeys({ _tag: "type" }))

/** The agent asked to use a tool, and what it was told. */
export const Permission = Schema.Struct({
  _tag: Schema.Literal("permission").transform("Permission"),
  toolCallId: Schema.String,
  options: Schema.Array(Schema.Unknown),
  decision: Schema.String
}).pipe(Schema.encodeKeys({ _tag: "type", toolCallId: "tool_call_id" }))

/** Whatever else came, as it came. */
export const Unknown = Schema.Struct({
  _tag: Schema.Literal("unknown").transform("Unknown"),
  raw: Schema.Unknown
}).pipe(Schema.encodeKeys({ _tag: "type" }))

/** The kinds that have a name, by the `type` they have on the wire. */
export const members = {
  text: Text,
  thinking: Thinking,
  content: Content,
  tool_call: ToolCall,
  plan: Plan,
  usage: UsageUpdate,
  mode: Mode,
  config: Config,
  commands: Commands,
  session_info: SessionInfo,
  notice: Notice,
  compaction: Compaction,
  permission: Permission,
  unknown: Unknown
} as const

/** Any event of a turn. */
export const TurnEvent = Schema.Union(Object.values(members))
export type TurnEvent = typeof TurnEvent.Type
export type ToolCall = typeof ToolCall.Type
