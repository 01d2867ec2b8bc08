/**
 * Generates what servers may send as the events of a turn.
 */
import { Schema } from "effect"
import { kinds } from "../../src/wire/EventKinds.ts"

const { Json, Literals, optionalKey, String, Struct, Union } = Schema

/** What should stand there, most of the time. */
const mostly = <S extends Schema.Constraint>(schema: S) => optionalKey(Union([schema, schema, Json]))

const ids = Literals(["one", "two"])
const block = Struct({
  type: Literals(["text", "text", "image"]),
  text: mostly(String),
  annotations: optionalKey(Json),
  messageId: optionalKey(Json),
  _meta: optionalKey(Json)
})
const entry = Struct({ content: mostly(String), status: mostly(String), _meta: optionalKey(Json) })
const cost = Struct({ amount: mostly(Schema.Finite), currency: mostly(String) })

/** An event of the first dialect, or nearly so. */
const Normalised = Struct({
  type: Union([Literals(["text", "tool_call", "late", ...Object.keys(kinds)]), Json]),
  content: mostly(String),
  message_id: mostly(ids),
  name: mostly(String),
  id: mostly(ids),
  args: mostly(Schema.Record(String, Json)),
  result: optionalKey(Json),
  entries: mostly(Schema.Array(entry)),
  used: mostly(Schema.Finite),
  cost: mostly(cost),
  role: mostly(Literals(["agent", "user"])),
  block: optionalKey(Json),
  turn_index: mostly(Schema.Int),
  event: mostly(Struct({ type: Literals(["text", "tool_call", "late"]), content: mostly(String), id: mostly(ids) })),
  added: optionalKey(Json),
  // The name of a field of ours, which on the wire is message_id.
  messageId: optionalKey(Json)
})

/** An update of the Agent Client Protocol, or nearly so. */
const Update = Struct({
  sessionUpdate: Union([
    Literals([
      "agent_message_chunk",
      "agent_thought_chunk",
      "tool_call",
      "tool_call_update",
      "plan",
      "usage_update",
      "session_info_update",
      "notice",
      "weather"
    ]),
    Json
  ]),
  content: mostly(Union([block, Schema.Array(block)])),
  messageId: mostly(ids),
  toolCallId: mostly(ids),
  title: mostly(String),
  status: mostly(Literals(["pending", "completed"])),
  rawInput: optionalKey(Json),
  rawOutput: optionalKey(Json),
  entries: mostly(Schema.Array(entry)),
  used: mostly(Schema.Finite),
  cost: mostly(cost),
  annotations: optionalKey(Json),
  _meta: optionalKey(Union([Struct({ claudeCode: Struct({ toolName: String }) }), Json]))
})

/** What may stand around an update: the protocol has `_meta` at every level. */
const around = { _meta: optionalKey(Json), ts: optionalKey(Json), title: optionalKey(Json) }
const sessionId = optionalKey(Schema.Literal("agent-session"))

const message = (params: Schema.Codec<unknown>) =>
  Struct({ jsonrpc: optionalKey(Schema.Literal("2.0")), method: Schema.Literal("session/update"), params, ...around })

/** An entry of an answer's events: of any dialect, or nearly so, or any JSON. */
export const Entry = Union([
  Normalised,
  message(Update),
  message(Struct({ sessionId, update: Update, ...around })),
  message(Struct({ ...Update.fields, update: Union([Update, Json]) })),
  message(Json),
  Json
] as const)
