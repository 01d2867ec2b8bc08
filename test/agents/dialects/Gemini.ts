/**
 * Google's `generateContent` and `streamGenerateContent`.
 */
import { Schema } from "effect"
import { type Block, type Dialect, frame, pieces, type Reply, usage } from "./Dialect.ts"

const isRequest = Schema.is(
  Schema.Struct({
    contents: Schema.Array(Schema.Struct({ parts: Schema.optionalKey(Schema.Array(Schema.Unknown)) })),
    systemInstruction: Schema.optionalKey(Schema.Unknown),
    tools: Schema.optionalKey(
      Schema.Array(
        Schema.Struct({
          functionDeclarations: Schema.optionalKey(Schema.Array(Schema.Struct({ name: Schema.String })))
        })
      )
    )
  })
)

const usageMetadata = {
  promptTokenCount: usage.input + usage.cached,
  cachedContentTokenCount: usage.cached,
  candidatesTokenCount: usage.output,
  totalTokenCount: usage.input + usage.cached + usage.output
}

const partOf = (block: Block) => {
  switch (block.type) {
    case "text":
      return { text: block.text }
    case "thinking":
      return { text: block.thinking, thought: true }
    case "tool_use":
      return { functionCall: { name: block.name, args: block.input } }
  }
}

const chunk = (reply: Reply, parts: ReadonlyArray<unknown>, more: object = {}) => ({
  candidates: [{ index: 0, content: { role: "model", parts }, ...more }],
  modelVersion: reply.model,
  responseId: `response-${reply.id}`
})

const finished = { finishReason: "STOP" }

export const gemini: Dialect = {
  method: "POST",
  path: /\/models\/([^/]+):(generateContent|streamGenerateContent)$/,
  read: (body, [, model, method]) => {
    if (!isRequest(body) || model === undefined) return undefined
    const last = JSON.stringify(body.contents.at(-1))
    return {
      model,
      effort: undefined,
      system: JSON.stringify(body.systemInstruction ?? ""),
      conversation: JSON.stringify(body.contents),
      last,
      isToolResult: last.includes('"functionResponse"'),
      tools: (body.tools ?? []).flatMap(({ functionDeclarations }) =>
        (functionDeclarations ?? []).map(({ name }) => name)
      ),
      streams: method === "streamGenerateContent"
    }
  },
  begin: (reply) =>
    reply.blocks.flatMap((block) => {
      const parts = block.type === "text" ? pieces(block.text).map((text) => ({ text })) : [partOf(block)]
      return parts.map((part) => frame(chunk(reply, [part])))
    }),
  end: (reply) => [frame({ ...chunk(reply, [{ text: "" }], finished), usageMetadata })],
  whole: (reply) => ({ ...chunk(reply, reply.blocks.map(partOf), finished), usageMetadata }),
  failure: (status, type, message) => ({ error: { code: status, message, status: type } })
}
