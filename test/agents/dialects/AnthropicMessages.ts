/**
 * Anthropic's Messages API.
 */
import { Schema } from "effect"
import { type Block, callId, type Dialect, frame, pieces, type Reply, toolUsesOf, usage } from "./Dialect.ts"

const isRequest = Schema.is(
  Schema.Struct({
    model: Schema.String,
    messages: Schema.Array(Schema.Unknown),
    stream: Schema.optionalKey(Schema.Boolean),
    system: Schema.optionalKey(Schema.Unknown),
    tools: Schema.optionalKey(Schema.Array(Schema.Struct({ name: Schema.String }))),
    output_config: Schema.optionalKey(Schema.Struct({ effort: Schema.optionalKey(Schema.String) }))
  })
)

/** Splits a block into the small deltas that the API sends. */
const deltas = (block: Block): ReadonlyArray<Readonly<Record<string, unknown>>> => {
  switch (block.type) {
    case "text":
      return pieces(block.text).map((text) => ({ type: "text_delta", text }))
    case "thinking":
      return [
        { type: "thinking_delta", thinking: block.thinking },
        { type: "signature_delta", signature: "c3RhbmQtaW4=" }
      ]
    case "tool_use":
      return [{ type: "input_json_delta", partial_json: JSON.stringify(block.input) }]
  }
}

const contentOf = (reply: Reply, index: number, isEmpty: boolean) => {
  const block = reply.blocks[index]
  if (block === undefined) return undefined
  if (block.type === "tool_use") return { ...block, id: callId(reply, index), input: isEmpty ? {} : block.input }
  if (block.type === "thinking") return { type: block.type, thinking: isEmpty ? "" : block.thinking, signature: "" }
  return { type: block.type, text: isEmpty ? "" : block.text }
}

const inputUsage = {
  input_tokens: usage.input,
  cache_read_input_tokens: usage.cached,
  cache_creation_input_tokens: 0
}

const messageOf = (reply: Reply) => ({
  id: `msg_${reply.id}`,
  type: "message",
  role: "assistant",
  model: reply.model,
  stop_sequence: null
})

const stopReason = ({ blocks }: Reply) => (toolUsesOf(blocks).length > 0 ? "tool_use" : "end_turn")

const send = (event: { readonly type: string; readonly [field: string]: unknown }) => frame(event, event.type)

export const anthropicMessages: Dialect = {
  method: "POST",
  path: /\/messages$/,
  read: (body) => {
    if (!isRequest(body)) return undefined
    const last = JSON.stringify(body.messages.at(-1))
    return {
      model: body.model,
      effort: body.output_config?.effort,
      system: JSON.stringify(body.system ?? ""),
      conversation: JSON.stringify(body.messages),
      last,
      isToolResult: last.includes("tool_result"),
      tools: (body.tools ?? []).map(({ name }) => name),
      streams: body.stream === true
    }
  },
  begin: (reply) => {
    const { blocks } = reply
    const start = { ...messageOf(reply), content: [], stop_reason: null, usage: { ...inputUsage, output_tokens: 1 } }
    const parts = blocks.flatMap((block, index) => [
      send({ type: "content_block_start", index, content_block: contentOf(reply, index, true) }),
      ...deltas(block).map((delta) => send({ type: "content_block_delta", index, delta })),
      ...(index + 1 < blocks.length ? [send({ type: "content_block_stop", index })] : [])
    ])
    return [send({ type: "message_start", message: start }), ...parts]
  },
  end: (reply) => [
    send({ type: "content_block_stop", index: reply.blocks.length - 1 }),
    send({
      type: "message_delta",
      delta: { stop_reason: stopReason(reply), stop_sequence: null },
      usage: { output_tokens: usage.output }
    }),
    send({ type: "message_stop" })
  ],
  whole: (reply) => ({
    ...messageOf(reply),
    content: reply.blocks.map((_, index) => contentOf(reply, index, false)),
    stop_reason: stopReason(reply),
    usage: { ...inputUsage, output_tokens: usage.output }
  }),
  failure: (_, type, message) => ({ type: "error", error: { type, message } })
}
