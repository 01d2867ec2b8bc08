/**
 * A stand-in of Anthropic's Messages API on this machine. What it answers is set by whoever uses it.
 *
 * It is also the proxy of those who talk to it, and lets nothing out: whoever asks for another host is written down.
 */
import { Effect, Queue, Schema } from "effect"
import { createServer, type IncomingMessage, type ServerResponse } from "node:http"
import type { AddressInfo } from "node:net"

/** The only key that it knows. */
export const key = "stand-in-key"

/** What the model is asked, as far as a check wants to see it. */
export interface Asked {
  readonly model: string
  readonly effort: string | undefined
  readonly system: string
  /** All messages, as JSON. */
  readonly conversation: string
  /** The last message, as JSON: what is new. */
  readonly last: string
}

export type Block =
  | { readonly type: "text"; readonly text: string }
  | { readonly type: "thinking"; readonly thinking: string }
  | { readonly type: "tool_use"; readonly name: string; readonly input: Readonly<Record<string, unknown>> }

export type Answer =
  | { readonly _tag: "Message"; readonly blocks: ReadonlyArray<Block> }
  /** Says something, and then nothing more. */
  | { readonly _tag: "Unfinished"; readonly text: string }
  | { readonly _tag: "Failure"; readonly status: number; readonly type: string; readonly message: string }

export const message = (...blocks: ReadonlyArray<Block>): Answer => ({ _tag: "Message", blocks })
export const text = (text: string): Block => ({ type: "text", text })
export const thinking = (thinking: string): Block => ({ type: "thinking", thinking })
export const toolUse = (name: string, input: Readonly<Record<string, unknown>>): Block => ({
  type: "tool_use",
  name,
  input
})

export interface MessagesApi {
  readonly url: string
  /** From here on the model answers like this, and what it is asked is collected anew. */
  readonly answer: (model: (asked: Asked) => Answer) => Effect.Effect<void>
  /** What the model was asked since then, in order. */
  readonly asked: Effect.Effect<ReadonlyArray<Asked>>
  /** What the model was asked beside the conversation since then: titles, guesses. */
  readonly aside: Effect.Effect<ReadonlyArray<Asked>>
  /** Waits until an unfinished answer is on its way. */
  readonly begun: Effect.Effect<void>
  /** Waits until whoever got an unfinished answer has hung up. */
  readonly dropped: Effect.Effect<void>
  /** The hosts that somebody wanted to go out to, since the start. */
  readonly outside: Effect.Effect<ReadonlyArray<string>>
}

/** What each message costs, as the API tells it. */
export const usage = { input: 11, cached: 5, output: 7 }

const isRequest = Schema.is(
  Schema.Struct({
    model: Schema.String,
    messages: Schema.Array(Schema.Unknown),
    system: Schema.optionalKey(Schema.Unknown),
    tools: Schema.optionalKey(Schema.Array(Schema.Unknown)),
    output_config: Schema.optionalKey(Schema.Struct({ effort: Schema.optionalKey(Schema.String) }))
  })
)

const json = (response: ServerResponse, status: number, body: unknown) => {
  response.writeHead(status, { "content-type": "application/json" }).end(JSON.stringify(body))
}

const failure = (response: ServerResponse, status: number, type: string, message: string) =>
  json(response, status, { type: "error", error: { type, message } })

/** The words of a block, a few at a time, as the API sends them. */
const deltas = (block: Block): ReadonlyArray<Readonly<Record<string, unknown>>> => {
  switch (block.type) {
    case "text":
      return (block.text.match(/[^]{1,12}/g) ?? []).map((text) => ({ type: "text_delta", text }))
    case "thinking":
      return [
        { type: "thinking_delta", thinking: block.thinking },
        { type: "signature_delta", signature: "c3RhbmQtaW4=" }
      ]
    case "tool_use":
      return [{ type: "input_json_delta", partial_json: JSON.stringify(block.input) }]
  }
}

const opened = (block: Block, id: string) => {
  switch (block.type) {
    case "text":
      return { type: "text", text: "" }
    case "thinking":
      return { type: "thinking", thinking: "", signature: "" }
    case "tool_use":
      return { type: "tool_use", id, name: block.name, input: {} }
  }
}

/** Answers with the events of a stream: the blocks, and the end of the message unless it has none. */
const stream = (
  response: ServerResponse,
  of: { readonly id: number; readonly model: string; readonly blocks: ReadonlyArray<Block>; readonly ends: boolean }
) => {
  const send = (event: { readonly type: string; readonly [field: string]: unknown }) =>
    response.write(`event: ${event.type}\ndata: ${JSON.stringify(event)}\n\n`)
  response.writeHead(200, { "content-type": "text/event-stream" })
  send({
    type: "message_start",
    message: {
      id: `msg_${of.id}`,
      type: "message",
      role: "assistant",
      model: of.model,
      content: [],
      stop_reason: null,
      stop_sequence: null,
      usage: {
        input_tokens: usage.input,
        cache_read_input_tokens: usage.cached,
        cache_creation_input_tokens: 0,
        output_tokens: 1
      }
    }
  })
  for (const [index, block] of of.blocks.entries()) {
    send({ type: "content_block_start", index, content_block: opened(block, `toolu_${of.id}_${index}`) })
    for (const delta of deltas(block)) send({ type: "content_block_delta", index, delta })
    if (of.ends) send({ type: "content_block_stop", index })
  }
  if (!of.ends) return
  const stopReason = of.blocks.some(({ type }) => type === "tool_use") ? "tool_use" : "end_turn"
  send({
    type: "message_delta",
    delta: { stop_reason: stopReason, stop_sequence: null },
    usage: { output_tokens: usage.output }
  })
  send({ type: "message_stop" })
  response.end()
}

const bodyOf = async (request: IncomingMessage): Promise<unknown> => {
  let body = ""
  for await (const chunk of request.setEncoding("utf8")) body += String(chunk)
  return JSON.parse(body)
}

/** A stand-in that ends with the scope. */
export const make = Effect.gen(function* () {
  let model: (asked: Asked) => Answer = () => message()
  let asked: ReadonlyArray<Asked> = []
  let aside: ReadonlyArray<Asked> = []
  let outside: ReadonlyArray<string> = []
  let count = 0
  const begun = yield* Queue.unbounded<void>()
  const dropped = yield* Queue.unbounded<void>()

  const reply = (response: ServerResponse, asked: Asked, answer: Answer) => {
    const of = { id: ++count, model: asked.model }
    switch (answer._tag) {
      case "Message":
        return stream(response, { ...of, blocks: answer.blocks, ends: true })
      case "Unfinished":
        response.on("close", () => Queue.offerUnsafe(dropped, undefined))
        stream(response, { ...of, blocks: [text(answer.text)], ends: false })
        return Queue.offerUnsafe(begun, undefined)
      case "Failure":
        return failure(response, answer.status, answer.type, answer.message)
    }
  }

  const messages = async (request: IncomingMessage, response: ServerResponse) => {
    const body = await bodyOf(request)
    if (request.headers["x-api-key"] !== key) {
      return failure(response, 401, "authentication_error", "invalid x-api-key")
    }
    if (!isRequest(body)) return failure(response, 400, "invalid_request_error", "no request that is known here")
    const ask: Asked = {
      model: body.model,
      effort: body.output_config?.effort,
      system: JSON.stringify(body.system ?? ""),
      conversation: JSON.stringify(body.messages),
      last: JSON.stringify(body.messages.at(-1))
    }
    // Only the conversation offers its tools; guesses at the next prompt do so too, and say what they are.
    if ((body.tools?.length ?? 0) > 0 && !ask.last.includes("SUGGESTION MODE")) {
      asked = [...asked, ask]
      return reply(response, ask, model(ask))
    }
    aside = [...aside, ask]
    return reply(response, ask, message(text("Fine.")))
  }

  const server = createServer((request, response) => {
    const { pathname, host } = new URL(request.url ?? "/", "http://here")
    if (host !== "here") {
      outside = [...outside, host]
      failure(response, 403, "permission_error", "nothing leaves this machine")
    } else if (request.method === "HEAD") response.end()
    else if (pathname === "/v1/messages/count_tokens") json(response, 200, { input_tokens: usage.input })
    else if (pathname === "/v1/messages") {
      messages(request, response).catch(() => failure(response, 400, "invalid_request_error", "no JSON"))
    } else failure(response, 404, "not_found_error", pathname)
  })
  server.on("connect", (request, socket) => {
    outside = [...outside, request.url ?? ""]
    socket.on("error", () => socket.destroy())
    socket.end("HTTP/1.1 403 Forbidden\r\n\r\n")
  })

  const url = yield* Effect.acquireRelease(
    Effect.callback<string>((resume) => {
      server.listen(0, "127.0.0.1", () =>
        resume(Effect.succeed(`http://127.0.0.1:${(server.address() as AddressInfo).port}`))
      )
    }),
    () =>
      Effect.sync(() => {
        server.closeAllConnections()
        server.close()
      })
  )

  const api: MessagesApi = {
    url,
    answer: (next) =>
      Effect.sync(() => {
        model = next
        asked = []
        aside = []
      }),
    asked: Effect.sync(() => asked),
    aside: Effect.sync(() => aside),
    begun: Queue.take(begun),
    dropped: Queue.take(dropped),
    outside: Effect.sync(() => outside)
  }
  return api
})
