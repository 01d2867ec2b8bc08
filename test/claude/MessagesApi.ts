/**
 * A local fake of Anthropic's Messages API, with answers set by the checks.
 *
 * It is also the HTTP proxy of its clients: it refuses requests to other hosts and records them.
 */
import { Effect, Queue, Schema } from "effect"
import { createServer, type IncomingMessage, type ServerResponse } from "node:http"
import type { AddressInfo } from "node:net"

/** The only valid key. */
export const key = "stand-in-key"

/** The parts of a request to the model that checks use. */
export interface ModelRequest {
  readonly model: string
  readonly effort: string | undefined
  readonly system: string
  /** All messages, as JSON. */
  readonly conversation: string
  /** The last message, as JSON. */
  readonly last: string
}

export type Block =
  | { readonly type: "text"; readonly text: string }
  | { readonly type: "thinking"; readonly thinking: string }
  | { readonly type: "tool_use"; readonly name: string; readonly input: Readonly<Record<string, unknown>> }

export type Answer =
  | { readonly _tag: "Message"; readonly blocks: ReadonlyArray<Block> }
  /** Sends some text and then never finishes. */
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
  /** Sets how the model answers, and clears the recorded requests. */
  readonly answer: (model: (request: ModelRequest) => Answer) => Effect.Effect<void>
  /** The requests of conversations since then, in order. */
  readonly requests: Effect.Effect<ReadonlyArray<ModelRequest>>
  /** The other requests since then, such as those for titles and suggestions. */
  readonly sideRequests: Effect.Effect<ReadonlyArray<ModelRequest>>
  /** Waits until an unfinished answer has been sent. */
  readonly begun: Effect.Effect<void>
  /** Waits until the client of an unfinished answer has disconnected. */
  readonly disconnected: Effect.Effect<void>
  /** The other hosts that were requested since the start. */
  readonly externalHosts: Effect.Effect<ReadonlyArray<string>>
}

/** The token usage reported for each message. */
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

/** Splits a block into the small deltas that the API sends. */
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

const emptyBlock = (block: Block, id: string) => {
  switch (block.type) {
    case "text":
      return { type: "text", text: "" }
    case "thinking":
      return { type: "thinking", thinking: "", signature: "" }
    case "tool_use":
      return { type: "tool_use", id, name: block.name, input: {} }
  }
}

/** Streams the blocks of a message, and its end if `ends` is set. */
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
    send({ type: "content_block_start", index, content_block: emptyBlock(block, `toolu_${of.id}_${index}`) })
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

/** Starts a fake API that stops when the scope closes. */
export const make = Effect.gen(function* () {
  let model: (request: ModelRequest) => Answer = () => message()
  let requests: ReadonlyArray<ModelRequest> = []
  let sideRequests: ReadonlyArray<ModelRequest> = []
  let externalHosts: ReadonlyArray<string> = []
  let count = 0
  const begun = yield* Queue.unbounded<void>()
  const disconnected = yield* Queue.unbounded<void>()

  const reply = (response: ServerResponse, request: ModelRequest, answer: Answer) => {
    const of = { id: ++count, model: request.model }
    switch (answer._tag) {
      case "Message":
        return stream(response, { ...of, blocks: answer.blocks, ends: true })
      case "Unfinished":
        response.on("close", () => Queue.offerUnsafe(disconnected, undefined))
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
    if (!isRequest(body)) return failure(response, 400, "invalid_request_error", "unknown kind of request")
    const parsed: ModelRequest = {
      model: body.model,
      effort: body.output_config?.effort,
      system: JSON.stringify(body.system ?? ""),
      conversation: JSON.stringify(body.messages),
      last: JSON.stringify(body.messages.at(-1))
    }
    // Only conversations offer tools; so do prompt suggestions, which are marked as such.
    if ((body.tools?.length ?? 0) > 0 && !parsed.last.includes("SUGGESTION MODE")) {
      requests = [...requests, parsed]
      return reply(response, parsed, model(parsed))
    }
    sideRequests = [...sideRequests, parsed]
    return reply(response, parsed, message(text("Fine.")))
  }

  const server = createServer((request, response) => {
    const { pathname, host } = new URL(request.url ?? "/", "http://here")
    if (host !== "here") {
      externalHosts = [...externalHosts, host]
      failure(response, 403, "permission_error", "external hosts are blocked")
    } else if (request.method === "HEAD") response.end()
    else if (pathname === "/v1/messages/count_tokens") json(response, 200, { input_tokens: usage.input })
    else if (pathname === "/v1/messages") {
      messages(request, response).catch(() => failure(response, 400, "invalid_request_error", "not JSON"))
    } else failure(response, 404, "not_found_error", pathname)
  })
  server.on("connect", (request, socket) => {
    externalHosts = [...externalHosts, request.url ?? ""]
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
        requests = []
        sideRequests = []
      }),
    requests: Effect.sync(() => requests),
    sideRequests: Effect.sync(() => sideRequests),
    begun: Queue.take(begun),
    disconnected: Queue.take(disconnected),
    externalHosts: Effect.sync(() => externalHosts)
  }
  return api
})
