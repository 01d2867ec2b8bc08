/**
 * The kinds of events in their normalised form, as the wire spells them: `type` and snake_case there, `_tag` and
 * camelCase in memory.
 */
import { Schema } from "effect"

/** Fields that a peer adds stay where they are. */
export const rest = [Schema.Record(Schema.String, Schema.Unknown)] as const

/** One step of a plan. */
export interface PlanEntry {
  /** What is to be done. */
  readonly content: string
  /** `high`, `medium` or `low`. */
  readonly priority?: string | undefined
  /** `pending`, `in_progress` or `completed`. */
  readonly status?: string | undefined
}

export const PlanEntry: Schema.Codec<PlanEntry> = Schema.StructWithRest(
  Schema.Struct({
    content: Schema.String,
    priority: Schema.optional(Schema.String),
    status: Schema.optional(Schema.String)
  }),
  rest
)

/** An amount of money. */
export interface Cost {
  readonly amount: number
  /** Its code, such as `USD`. */
  readonly currency: string
}

export const Cost: Schema.Codec<Cost> = Schema.StructWithRest(
  Schema.Struct({ amount: Schema.Finite, currency: Schema.String }),
  rest
)

const message = { messageId: Schema.optional(Schema.String) }
const text = { content: Schema.String, ...message }
const messageKeys = { _tag: "type", messageId: "message_id" } as const

/** Each kind that has a name, by the `type` that it has on the wire. */
export const kinds = {
  text: Schema.Struct({ _tag: Schema.Literal("text").transform("Text"), ...text }).pipe(Schema.encodeKeys(messageKeys)),

  thinking: Schema.Struct({ _tag: Schema.Literal("thinking").transform("Thinking"), ...text }).pipe(
    Schema.encodeKeys(messageKeys)
  ),

  content: Schema.Struct({
    _tag: Schema.Literal("content").transform("Content"),
    role: Schema.Literals(["agent", "thought", "user"]),
    block: Schema.Unknown,
    ...message
  }).pipe(Schema.encodeKeys(messageKeys)),

  // What a tool shows next to its result is in `blocks`: older clients want `content` to be a string wherever it stands.
  tool_call: Schema.Struct({
    _tag: Schema.Literal("tool_call").transform("ToolCall"),
    name: Schema.String,
    id: Schema.optional(Schema.String),
    title: Schema.optional(Schema.String),
    kind: Schema.optional(Schema.String),
    status: Schema.optional(Schema.String),
    args: Schema.optional(Schema.Record(Schema.String, Schema.Unknown)),
    rawInput: Schema.optionalKey(Schema.Unknown),
    result: Schema.optionalKey(Schema.Unknown),
    blocks: Schema.optional(Schema.Array(Schema.Unknown)),
    locations: Schema.optional(Schema.Array(Schema.Unknown))
  }).pipe(Schema.encodeKeys({ _tag: "type", rawInput: "raw_input" })),

  plan: Schema.Struct({
    _tag: Schema.Literal("plan").transform("Plan"),
    entries: Schema.Array(PlanEntry)
  }).pipe(Schema.encodeKeys({ _tag: "type" })),

  usage: Schema.Struct({
    _tag: Schema.Literal("usage").transform("Usage"),
    used: Schema.optional(Schema.Finite),
    size: Schema.optional(Schema.Finite),
    cost: Schema.optional(Cost),
    inputTokens: Schema.optional(Schema.Finite),
    outputTokens: Schema.optional(Schema.Finite),
    cachedTokens: Schema.optional(Schema.Finite),
    totalTokens: Schema.optional(Schema.Finite)
  }).pipe(
    Schema.encodeKeys({
      _tag: "type",
      inputTokens: "input_tokens",
      outputTokens: "output_tokens",
      cachedTokens: "cached_tokens",
      totalTokens: "total_tokens"
    })
  ),

  mode: Schema.Struct({ _tag: Schema.Literal("mode").transform("Mode"), modeId: Schema.String }).pipe(
    Schema.encodeKeys({ _tag: "type", modeId: "mode_id" })
  ),

  config: Schema.Struct({
    _tag: Schema.Literal("config").transform("Config"),
    options: Schema.Array(Schema.Unknown)
  }).pipe(Schema.encodeKeys({ _tag: "type" })),

  commands: Schema.Struct({
    _tag: Schema.Literal("commands").transform("Commands"),
    commands: Schema.Array(Schema.Unknown)
  }).pipe(Schema.encodeKeys({ _tag: "type" })),

  session_info: Schema.Struct({
    _tag: Schema.Literal("session_info").transform("SessionInfo"),
    title: Schema.optional(Schema.NullOr(Schema.String)),
    updatedAt: Schema.optional(Schema.NullOr(Schema.String))
  }).pipe(Schema.encodeKeys({ _tag: "type", updatedAt: "updated_at" })),

  notice: Schema.Struct({
    _tag: Schema.Literal("notice").transform("Notice"),
    update: Schema.Unknown
  }).pipe(Schema.encodeKeys({ _tag: "type" })),

  compaction: Schema.Struct({
    _tag: Schema.Literal("compaction").transform("Compaction"),
    update: Schema.Unknown
  }).pipe(Schema.encodeKeys({ _tag: "type" })),

  permission: Schema.Struct({
    _tag: Schema.Literal("permission").transform("Permission"),
    toolCallId: Schema.String,
    options: Schema.Array(Schema.Unknown),
    decision: Schema.String
  }).pipe(Schema.encodeKeys({ _tag: "type", toolCallId: "tool_call_id" })),

  unknown: Schema.Struct({
    _tag: Schema.Literal("unknown").transform("Unknown"),
    raw: Schema.Unknown
  }).pipe(Schema.encodeKeys({ _tag: "type" }))
} as const

export type Kind = (typeof kinds)[keyof typeof kinds]

/** A late event, around the codec of the event in it: it is no `Kind`, since it has one of any kind inside. */
export const lateWith = <S extends Schema.Constraint>(event: S) =>
  Schema.Struct({ _tag: Schema.Literal("late").transform("Late"), turnIndex: Schema.Int, event }).pipe(
    Schema.encodeKeys({ _tag: "type", turnIndex: "turn_index" })
  )

interface Fields {
  readonly from: { readonly fields: object }
  readonly to: { readonly fields: object }
}

/** The fields of a kind: each name on the wire with the name in memory. */
export const fieldNames = ({ from, to }: Fields): ReadonlyArray<readonly [wire: string, memory: string]> => {
  const memory = Object.keys(to.fields)
  return Object.keys(from.fields).map((name, at) => [name, memory[at] ?? name])
}
