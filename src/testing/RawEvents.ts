/**
 * Writes normalised events as messages of the agent protocol, as older servers sent them.
 */
import { Predicate } from "effect"

/** Where the update stands in a message: in `params.update`, as in the protocol, or in `params` itself. */
export type Dialect = "nested" | "flat"

type Fields = Readonly<Record<string, unknown>>

/** The fields of an event that the protocol calls something else. */
const names: Readonly<Record<string, string>> = {
  args: "rawInput",
  blocks: "content",
  commands: "availableCommands",
  id: "toolCallId",
  message_id: "messageId",
  mode_id: "currentModeId",
  options: "configOptions",
  raw_input: "rawInput",
  result: "rawOutput"
}

const kinds: Readonly<Record<string, string>> = {
  text: "agent_message_chunk",
  thinking: "agent_thought_chunk",
  tool_call: "tool_call",
  plan: "plan",
  commands: "available_commands_update",
  mode: "current_mode_update"
}

const updateOf = ({ content, name, type, ...fields }: Fields): Fields | undefined => {
  const kind = Predicate.isString(type) ? kinds[type] : undefined
  if (kind === undefined) return undefined
  const renamed = Object.fromEntries(Object.entries(fields).map(([field, value]) => [names[field] ?? field, value]))
  return {
    sessionUpdate: kind,
    ...(content === undefined ? {} : { content: { type: "text", text: content } }),
    ...(kind === "tool_call" ? { title: name } : {}),
    ...renamed
  }
}

/** What the protocol has no message for stays as it is. */
export const encode = (
  events: ReadonlyArray<unknown>,
  { dialect, stopReason }: { readonly dialect: Dialect; readonly stopReason: unknown }
): ReadonlyArray<unknown> => {
  const sessionId = "agent-session"
  const messages = events.map((event) => {
    const update = Predicate.isObject(event) ? updateOf({ ...event }) : undefined
    if (update === undefined) return event
    const params = dialect === "flat" ? update : { sessionId, update }
    return { jsonrpc: "2.0", method: "session/update", params }
  })
  return [
    { jsonrpc: "2.0", id: 1, method: "session/prompt", params: { sessionId } },
    ...messages,
    { jsonrpc: "2.0", id: 1, result: { stopReason } }
  ]
}
