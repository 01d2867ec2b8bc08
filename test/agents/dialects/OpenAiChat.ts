/**
 * OpenAI's chat completions, which most other makers of models offer too.
 */
import { Schema } from "effect"
import { callId, type Dialect, frame, pieces, type Reply, textOf, toolUsesOf, usage } from "./Dialect.ts"

const isRequest = Schema.is(
  Schema.Struct({
    model: Schema.String,
    messages: Schema.Array(Schema.Struct({ role: Schema.String })),
    stream: Schema.optionalKey(Schema.Boolean),
    reasoning_effort: Schema.optionalKey(Schema.NullOr(Schema.String)),
    tools: Schema.optionalKey(Schema.Array(Schema.Struct({ function: Schema.Struct({ name: Schema.String }) })))
  })
)

const answerUsage = {
  prompt_tokens: usage.input + usage.cached,
  completion_tokens: usage.output,
  total_tokens: usage.input + usage.cached + usage.output,
  prompt_tokens_details: { cached_tokens: usage.cached }
}

const callsOf = (reply: Reply) =>
  toolUsesOf(reply.blocks).map(([position, { input, name }], index) => ({
    index,
    id: callId(reply, position),
    type: "function",
    function: { name, arguments: JSON.stringify(input) }
  }))

const finishReason = ({ blocks }: Reply) => (toolUsesOf(blocks).length > 0 ? "tool_calls" : "stop")

const completionOf = (reply: Reply) => ({ id: `chatcmpl-${reply.id}`, created: 1_700_000_000, model: reply.model })

const chunk = (reply: Reply, delta: unknown, finish_reason: string | null = null) =>
  frame({ ...completionOf(reply), object: "chat.completion.chunk", choices: [{ index: 0, delta, finish_reason }] })

export const openAiChat: Dialect = {
  method: "POST",
  path: /\/chat\/completions$/,
  read: (body) => {
    if (!isRequest(body)) return undefined
    const isSystem = ({ role }: { readonly role: string }) => role === "system" || role === "developer"
    const messages = body.messages.filter((message) => !isSystem(message))
    return {
      model: body.model,
      effort: body.reasoning_effort ?? undefined,
      system: JSON.stringify(body.messages.filter(isSystem)),
      conversation: JSON.stringify(messages),
      last: JSON.stringify(messages.at(-1)),
      isToolResult: messages.at(-1)?.role === "tool",
      tools: (body.tools ?? []).map((tool) => tool.function.name),
      streams: body.stream === true
    }
  },
  begin: (reply) => [
    chunk(reply, { role: "assistant", content: "" }),
    ...reply.blocks.flatMap((block) => {
      if (block.type === "thinking") return [chunk(reply, { reasoning_content: block.thinking })]
      return block.type === "text" ? pieces(block.text).map((content) => chunk(reply, { content })) : []
    }),
    ...callsOf(reply).map((call) => chunk(reply, { tool_calls: [call] }))
  ],
  end: (reply) => [
    chunk(reply, {}, finishReason(reply)),
    frame({ ...completionOf(reply), object: "chat.completion.chunk", choices: [], usage: answerUsage }),
    frame("[DONE]")
  ],
  whole: (reply) => {
    const calls = callsOf(reply)
    const message = {
      role: "assistant",
      content: textOf(reply.blocks),
      ...(calls.length > 0 ? { tool_calls: calls } : {})
    }
    const choices = [{ index: 0, message, finish_reason: finishReason(reply) }]
    return { ...completionOf(reply), object: "chat.completion", choices, usage: answerUsage }
  },
  failure: (status, type, message) => ({ error: { message, type, param: null, code: String(status) } })
}
