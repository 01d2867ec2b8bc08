/**
 * Turns an update of the Agent Client Protocol into a turn event.
 *
 * Both sides use it: the server for what its agents send, the client for servers that pass their agent's messages on
 * unchanged. An update of an unknown kind, or not of the shape of its kind, becomes `Unknown` with all that was in it.
 */
import { Option, Predicate, Schema } from "effect"
import * as CallIdentity from "./CallIdentity.ts"
import { Cost, PlanEntry } from "./EventKinds.ts"
import type { ToolCall, TurnEvent } from "./TurnEvent.ts"

/** A tool call as the agent has described it so far: its fields, as they came. It grows with each update. */
export type OpenCall = Map<string, unknown>

/** The tool calls of one turn, by id. */
export type ToolCalls = Map<string, OpenCall>

const Chunk = Schema.Struct({ content: Schema.Unknown, messageId: Schema.optionalKey(Schema.Unknown) })
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
const isField = new Map(Object.entries(Call.fields).map(([name, schema]) => [name, Schema.is(schema)]))
const isClaudeMeta = Schema.is(Schema.Struct({ claudeCode: Schema.Struct({ toolName: Schema.String }) }))

/** A tool's input, in the field that its shape allows. */
const toolInput = (input: unknown): Pick<ToolCall, "args" | "rawInput"> =>
  input === undefined ? {} : Predicate.isObject(input) ? { args: input } : { rawInput: input }

const toolNameIn = (meta: unknown): string | undefined => (isClaudeMeta(meta) ? meta.claudeCode.toolName : undefined)

/** The result of a tool so far; for a call that ended without one, the content that it shows. */
const resultOf = (call: typeof Call.Type): Pick<ToolCall, "result" | "blocks"> => {
  const { content, rawOutput, status } = call
  if (rawOutput === undefined && CallIdentity.isEnded(status)) return content === undefined ? {} : { result: content }
  return {
    ...(content === undefined || content.length === 0 ? {} : { blocks: content }),
    ...(rawOutput === undefined ? {} : { result: rawOutput })
  }
}

const toToolCall = (call: typeof Call.Type): TurnEvent => ({
  _tag: "ToolCall",
  name: call.name ?? call.title ?? call.kind ?? "tool",
  id: call.toolCallId,
  ...(call.title === undefined ? {} : { title: call.title }),
  ...(call.kind === undefined ? {} : { kind: call.kind }),
  ...(call.status === undefined ? {} : { status: call.status }),
  ...toolInput(call.rawInput),
  ...resultOf(call),
  ...(call.locations === undefined || call.locations.length === 0 ? {} : { locations: call.locations })
})

type Update = Readonly<Record<string, unknown>>

/** How one kind of update is read, and which of its fields its event keeps: undefined where it keeps all of them. */
interface Reader {
  readonly fields: ReadonlySet<string> | undefined
  readonly read: (update: Update, calls: ToolCalls) => Option.Option<TurnEvent>
}

const fieldsOf = (schema: { readonly fields: object }): ReadonlySet<string> =>
  new Set(["sessionUpdate", ...Object.keys(schema.fields)])

const reader = <S extends Schema.ConstraintDecoder<unknown> & { readonly fields: object }>(
  schema: S,
  make: (value: S["Type"]) => TurnEvent
): Reader => {
  const decode = Schema.decodeUnknownOption(schema)
  return { fields: fieldsOf(schema), read: (update) => Option.map(decode(update), make) }
}

const chunk = (role: "agent" | "thought" | "user", tag?: "Text" | "Thinking"): Reader =>
  reader(Chunk, ({ content, messageId }) => {
    const message = typeof messageId === "string" ? { messageId } : {}
    return tag !== undefined && isTextBlock(content)
      ? { _tag: tag, content: content.text, ...message }
      : { _tag: "Content", role, block: content, ...message }
  })

/** The call that an update is of. A `tool_call` with the id of one that has ended begins another. */
const callOf = (update: Update, id: string, calls: ToolCalls): OpenCall => {
  const known = calls.get(id)
  const isNew = update["sessionUpdate"] === "tool_call" && CallIdentity.isEnded(known?.get("status"))
  if (known !== undefined && !isNew) return known
  // The status that the protocol has for a call without one tells it from the call before.
  const opened: OpenCall = new Map(isNew ? [["status", "pending"]] : [])
  calls.set(id, opened)
  return opened
}

/** Applies an update to its tool call: an absent field stays, null clears, a value replaces. */
export const apply = (update: Update, calls: ToolCalls): Option.Option<OpenCall> => {
  const entries = Object.entries(update)
  const values = Object.fromEntries(entries.filter(([, value]) => value !== null))
  return Option.map(decodeCall(values), ({ toolCallId }) => {
    const call = callOf(update, toolCallId, calls)
    for (const [field, value] of entries) {
      if (value === null) call.delete(field)
      else call.set(field, value)
    }
    // The name that an adapter puts in `_meta` stays when a later update replaces `_meta`.
    const name = call.get("name") ?? toolNameIn(call.get("_meta"))
    if (name !== undefined) call.set("name", name)
    return call
  })
}

/** The fields that have the right shape: an agent that gets another one wrong has still called its tool. */
const wellFormed = (update: Update): Update =>
  Object.fromEntries(
    Object.entries(update).filter(([name, value]) => value === null || isField.get(name)?.(value) !== false)
  )

/** The fields of a tool call that its event shows: `_meta` is read for the tool's name only. */
export const fieldsOfCall: ReadonlySet<string> = new Set([...fieldsOf(Call)].filter((field) => field !== "_meta"))

const toolCall: Reader = {
  fields: fieldsOfCall,
  read: (update, calls) =>
    apply(update, calls).pipe(
      Option.orElse(() => apply(wellFormed(update), calls)),
      Option.flatMap((call) =>
        Option.map(decodeCall(Object.fromEntries(call)), (known) => CallIdentity.assign(toToolCall(known), call))
      )
    )
}

/** An update that is kept unchanged. */
const whole = (tag: "Notice" | "Compaction"): Reader => ({
  fields: undefined,
  read: (update) => Option.some({ _tag: tag, update })
})

const readers: Readonly<Record<string, Reader>> = {
  agent_message_chunk: chunk("agent", "Text"),
  agent_thought_chunk: chunk("thought", "Thinking"),
  user_message_chunk: chunk("user"),
  tool_call: toolCall,
  tool_call_update: toolCall,
  plan: reader(Schema.Struct({ entries: Schema.Array(PlanEntry) }), ({ entries }) => ({ _tag: "Plan", entries })),
  usage_update: reader(
    Schema.Struct({
      used: Schema.optionalKey(Schema.NullOr(Schema.Finite)),
      size: Schema.optionalKey(Schema.NullOr(Schema.Finite)),
      cost: Schema.optionalKey(Schema.NullOr(Cost))
    }),
    ({ cost, size, used }) => ({
      _tag: "Usage",
      ...(typeof used === "number" ? { used } : {}),
      ...(typeof size === "number" ? { size } : {}),
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
  notice: whole("Notice"),
  compaction_update: whole("Compaction"),
  compaction_summary_chunk: whole("Compaction")
}

const readerOf = (kind: unknown): Reader | undefined =>
  typeof kind === "string" && Object.hasOwn(readers, kind) ? readers[kind] : undefined

/** Whether an update is one of a tool call. */
export const isOfCall = (update: Update): boolean => readerOf(update["sessionUpdate"]) === toolCall

/** A chunk is read even if the id of its message is not a string; that id is then an extra field. */
const isOddId = (name: string, value: unknown): boolean => name === "messageId" && typeof value !== "string"

/** The fields of an update that its event does not keep, `_meta` above all. */
const addedToUpdate = (update: Update, fields: ReadonlySet<string>): Update =>
  Object.fromEntries(Object.entries(update).filter(([name, value]) => !fields.has(name) || isOddId(name, value)))

/** The fields of the text in an update, and of the update, that its event does not keep. */
export const addedTo = (update: Update): ReadonlyArray<Update> => {
  const fields = readerOf(update["sessionUpdate"])?.fields
  if (fields === undefined) return []
  const added = addedToUpdate(update, fields)
  if (!isTextBlock(update["content"]) || !fields.has("content")) return [added]
  const { text: _text, type: _type, ...block } = update["content"]
  return [block, added]
}

/**
 * The event that an update becomes. `calls` carries the tool calls of the turn from one update to the next, so that
 * each `ToolCall` event shows the call as it stands.
 */
export const toEvent = (update: unknown, calls: ToolCalls): TurnEvent => {
  if (!Predicate.isObject(update)) return { _tag: "Unknown", raw: update }
  const read = readerOf(update["sessionUpdate"])?.read(update, calls)
  return Option.getOrElse(read ?? Option.none<TurnEvent>(), () => ({ _tag: "Unknown", raw: update }))
}

/** Names that the wire has for other fields of a `ToolCall`. */
export const wireNamesOfCall: ReadonlyArray<string> = ["type", "raw_input"]

/** The event of a tool call as it stands, with all that was added to it. */
export const fromCall = (call: OpenCall): TurnEvent => {
  const sent = Object.fromEntries(call)
  return Option.match(decodeCall(sent), {
    onNone: () => ({ _tag: "Unknown", raw: sent }),
    onSome: (known) => {
      const added = Object.entries(addedToUpdate(sent, fieldsOfCall))
      const kept = Object.fromEntries(added.filter(([name]) => !wireNamesOfCall.includes(name)))
      const isWhole = Object.keys(kept).length === added.length
      return { ...kept, ...(isWhole ? {} : { raw: sent }), ...toToolCall(known) }
    }
  })
}
