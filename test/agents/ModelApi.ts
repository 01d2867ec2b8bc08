/**
 * A stand-in on loopback for the model APIs of all agents, whose answers the checks set.
 *
 * It is also the HTTP proxy of the agents: it refuses requests to other hosts and records them.
 */
import { Effect, Queue } from "effect"
import { createServer, type IncomingMessage, type ServerResponse } from "node:http"
import type { AddressInfo } from "node:net"
import { anthropicMessages } from "./dialects/AnthropicMessages.ts"
import { type Block, type Dialect, type ModelRequest, type Reply, text, usage } from "./dialects/Dialect.ts"
import { gemini } from "./dialects/Gemini.ts"
import { openAiChat } from "./dialects/OpenAiChat.ts"
import { openAiResponses } from "./dialects/OpenAiResponses.ts"

/** The only valid key. */
export const key = "stand-in-key"

export type Answer =
  | { readonly _tag: "Message"; readonly blocks: ReadonlyArray<Block> }
  /** Sends some text, and the rest of the answer only when it is released. */
  | { readonly _tag: "Unfinished"; readonly text: string }
  | { readonly _tag: "Failure"; readonly status: number; readonly type: string; readonly message: string }

export const message = (...blocks: ReadonlyArray<Block>): Answer => ({ _tag: "Message", blocks })
export const unfinished = (text: string): Answer => ({ _tag: "Unfinished", text })

export interface ModelApi {
  readonly url: string
  /** Sets how the model answers, and forgets the requests so far. */
  readonly answer: (model: (request: ModelRequest) => Answer) => Effect.Effect<void>
  /** The requests of conversations since then, in order. */
  readonly requests: Effect.Effect<ReadonlyArray<ModelRequest>>
  /** The other requests since then, such as those for titles and suggestions. */
  readonly sideRequests: Effect.Effect<ReadonlyArray<ModelRequest>>
  /** Waits until the text of an unfinished answer has been sent. */
  readonly begun: Effect.Effect<void>
  /** Finishes the unfinished answer. */
  readonly release: Effect.Effect<void>
  /** Waits until the client of an unfinished answer has disconnected. */
  readonly disconnected: Effect.Effect<void>
  /** The other hosts that were requested since the start. */
  readonly externalHosts: Effect.Effect<ReadonlySet<string>>
}

const dialects: ReadonlyArray<Dialect> = [anthropicMessages, openAiChat, openAiResponses, gemini]

const json = (response: ServerResponse, status: number, body: unknown) => {
  response.writeHead(status, { "content-type": "application/json" }).end(JSON.stringify(body))
}

/** Each API has a place of its own for the key. */
const keyOf = ({ headers, url }: IncomingMessage) =>
  headers["x-api-key"] ??
  headers["x-goog-api-key"] ??
  headers["authorization"]?.replace("Bearer ", "") ??
  new URL(url ?? "/", "http://here").searchParams.get("key")

const bodyOf = async (request: IncomingMessage): Promise<unknown> => {
  let body = ""
  for await (const chunk of request.setEncoding("utf8")) body += String(chunk)
  return JSON.parse(body)
}

/** The requests of an agent that are no conversation: those that offer no tools, and those that are marked. */
export interface Asides {
  /** Marks the last message. */
  readonly marks?: RegExp | undefined
  /** What the model answers, where the agent wants a certain form. */
  readonly answer?: string | undefined
}

/** Starts a stand-in that stops when the scope closes. */
export const make = Effect.fnUntraced(function* (asides: Asides = {}) {
  let model: (request: ModelRequest) => Answer = () => message()
  let requests: ReadonlyArray<ModelRequest> = []
  let sideRequests: ReadonlyArray<ModelRequest> = []
  let release = () => {}
  const externalHosts = new Set<string>()
  let count = 0
  const begun = yield* Queue.unbounded<void>()
  const disconnected = yield* Queue.unbounded<void>()

  const reply = (dialect: Dialect, response: ServerResponse, request: ModelRequest, answer: Answer) => {
    const { failure, begin, end, whole } = dialect
    if (answer._tag === "Failure") {
      return json(response, answer.status, failure(answer.status, answer.type, answer.message))
    }
    const blocks = answer._tag === "Message" ? answer.blocks : [text(answer.text)]
    const of: Reply = { id: ++count, model: request.model, blocks }
    if (!request.streams) return json(response, 200, whole(of))
    response.writeHead(200, { "content-type": "text/event-stream" })
    for (const chunk of begin(of)) response.write(chunk)
    const finish = () => {
      for (const chunk of end(of)) response.write(chunk)
      response.end()
    }
    if (answer._tag === "Message") return finish()
    response.on("close", () => Queue.offerUnsafe(disconnected, undefined))
    release = finish
    return Queue.offerUnsafe(begun, undefined)
  }

  const handle = async (
    request: IncomingMessage,
    response: ServerResponse,
    dialect: Dialect,
    path: RegExpExecArray
  ) => {
    const { failure, read } = dialect
    const body = await bodyOf(request)
    if (keyOf(request) !== key) {
      return json(response, 401, failure(401, "authentication_error", "the key is not valid"))
    }
    const parsed = read(body, path)
    if (parsed === undefined) return json(response, 400, failure(400, "invalid_request_error", "unknown request"))
    const isConversation = parsed.tools.length > 0 && asides.marks?.test(parsed.last) !== true
    if (isConversation) requests = [...requests, parsed]
    else sideRequests = [...sideRequests, parsed]
    return reply(dialect, response, parsed, isConversation ? model(parsed) : message(text(asides.answer ?? "Fine.")))
  }

  const server = createServer((request, response) => {
    const { pathname, host } = new URL(request.url ?? "/", "http://here")
    if (host !== "here") {
      externalHosts.add(host)
      return json(response, 403, { error: "external hosts are blocked" })
    }
    if (request.method === "HEAD") return response.end()
    for (const dialect of dialects) {
      const path = request.method === dialect.method ? dialect.path.exec(pathname) : null
      if (path === null) continue
      handle(request, response, dialect, path).catch(() => json(response, 400, { error: "not JSON" }))
      return
    }
    if (pathname.endsWith("/count_tokens")) return json(response, 200, { input_tokens: usage.input })
    if (pathname.endsWith(":countTokens")) return json(response, 200, { totalTokens: usage.input })
    return json(response, 404, { error: { type: "not_found_error", message: pathname } })
  })
  server.on("connect", (request, socket) => {
    externalHosts.add(request.url ?? "")
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

  const api: ModelApi = {
    url,
    answer: (next) =>
      Effect.gen(function* () {
        model = next
        requests = []
        sideRequests = []
        yield* Queue.clear(begun)
        yield* Queue.clear(disconnected)
      }),
    requests: Effect.sync(() => requests),
    sideRequests: Effect.sync(() => sideRequests),
    begun: Queue.take(begun),
    release: Effect.sync(() => release()),
    disconnected: Queue.take(disconnected),
    externalHosts: Effect.succeed(externalHosts)
  }
  return api
})
