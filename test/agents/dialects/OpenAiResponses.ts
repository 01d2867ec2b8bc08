/**
 * OpenAI's responses.
 */
import { Schema } from "effect"
import { type Block, callId, type Dialect, frame, pieces, type Reply, usage } from "./Dialect.ts"

const isRequest = Schema.is(
  Schema.Struct({
    model: Schema.String,
    instructions: Schema.optionalKey(Schema.NullOr(Schema.String)),
    input: Schema.Array(
      Schema.Struct({
        type: Schema.optionalKey(Schema.String),
        tools: Schema.optionalKey(Schema.Array(Schema.Struct({ name: Schema.String })))
      })
    ),
    stream: Schema.optionalKey(Schema.Boolean),
    reasoning: Schema.optionalKey(Schema.NullOr(Schema.Struct({ effort: Schema.optionalKey(Schema.String) }))),
    tools: Schema.optionalKey(
      Schema.Array(Schema.Struct({ type: Schema.String, name: Schema.optionalKey(Schema.String) }))
    )
  })
)

const answerUsage = {
  input_tokens: usage.input + usage.cached,
  input_tokens_details: { cached_tokens: usage.cached },
  output_tokens: usage.output,
  output_tokens_details: { reasoning_tokens: 0 },
  total_tokens: usage.input + usage.cached + usage.output
}

/** One block as an item of the answer; `isEmpty` leaves out what is still to be streamed. */
const itemOf = (reply: Reply, block: Block, index: number, isEmpty: boolean) => {
  const status = isEmpty ? "in_progress" : "completed"
  switch (block.type) {
    case "text": {
      const content = isEmpty ? [] : [{ type: "output_text", text: block.text, annotations: [] }]
      return { type: "message", id: `msg_${reply.id}_${index}`, role: "assistant", status, content }
    }
    case "thinking": {
      const summary = isEmpty ? [] : [{ type: "summary_text", text: block.thinking }]
      return { type: "reasoning", id: `rs_${reply.id}_${index}`, summary }
    }
    case "tool_use":
      return {
        type: "function_call",
        id: `fc_${reply.id}_${index}`,
        call_id: callId(reply, index),
        name: block.name,
        arguments: isEmpty ? "" : JSON.stringify(block.input),
        status
      }
  }
}

const send = (event: { readonly type: string; readonly [field: string]: unknown }) => frame(event, event.type)

/** The pieces of a block. */
const deltas = (reply: Reply, block: Block, index: number): ReadonlyArray<string> => {
  const at = { output_index: index, item_id: itemOf(reply, block, index, true).id }
  switch (block.type) {
    case "text":
      return [
        send({
          type: "response.content_part.added",
          ...at,
          content_index: 0,
          part: { type: "output_text", text: "", annotations: [] }
        }),
        ...pieces(block.text).map((delta) =>
          send({ type: "response.output_text.delta", ...at, content_index: 0, delta })
        )
      ]
    case "thinking":
      return [send({ type: "response.reasoning_summary_text.delta", ...at, summary_index: 0, delta: block.thinking })]
    case "tool_use":
      return [send({ type: "response.function_call_arguments.delta", ...at, delta: JSON.stringify(block.input) })]
  }
}

const close = (reply: Reply, block: Block, index: number): ReadonlyArray<string> => [
  send({ type: "response.output_item.done", output_index: index, item: itemOf(reply, block, index, false) })
]

const whole = (reply: Reply) => ({
  id: `resp_${reply.id}`,
  object: "response",
  created_at: 1_700_000_000,
  status: "completed",
  model: reply.model,
  output: reply.blocks.map((block, index) => itemOf(reply, block, index, false)),
  usage: answerUsage
})

export const openAiResponses: Dialect = {
  method: "POST",
  path: /\/responses$/,
  read: (body) => {
    if (!isRequest(body)) return undefined
    return {
      model: body.model,
      effort: body.reasoning?.effort,
      system: body.instructions ?? "",
      conversation: JSON.stringify(body.input),
      last: JSON.stringify(body.input.at(-1)),
      isToolResult: body.input.at(-1)?.type?.endsWith("_output") === true,
      // With newer models the tools are the first item of the input.
      tools: [
        ...(body.tools ?? []).map(({ name, type }) => name ?? type),
        ...body.input.flatMap(({ tools }) => tools ?? []).map(({ name }) => name)
      ],
      streams: body.stream === true
    }
  },
  begin: (reply) => {
    const response = { ...whole(reply), status: "in_progress", output: [], usage: null }
    const parts = reply.blocks.flatMap((block, index) => [
      send({ type: "response.output_item.added", output_index: index, item: itemOf(reply, block, index, true) }),
      ...deltas(reply, block, index),
      ...(index + 1 < reply.blocks.length ? close(reply, block, index) : [])
    ])
    return [send({ type: "response.created", response }), ...parts]
  },
  end: (reply) => [
    ...reply.blocks.slice(-1).flatMap((block) => close(reply, block, reply.blocks.length - 1)),
    send({ type: "response.completed", response: whole(reply) })
  ],
  whole,
  failure: (status, type, message) => ({ error: { message, type, param: null, code: String(status) } })
}
