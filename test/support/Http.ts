/**
 * Raw HTTP over a socket, for requests that no client of ours would send. Each has its own connection, so that none outlives
 * its test.
 */
import { Data, Effect, type Scope } from "effect"
import { strict as assert } from "node:assert"
import { type ClientRequest, type IncomingMessage, request as nodeRequest } from "node:http"
import { connect as netConnect, type Socket } from "node:net"

export interface Answer {
  readonly status: number
  readonly headers: Headers
  readonly text: string
}

export interface CallOptions {
  /** Text and bytes are sent as they are, anything else as JSON. */
  readonly body?: unknown
  readonly headers?: Readonly<Record<string, string>> | undefined
}

/** The connection was lost before the answer was complete. */
export class Lost extends Data.TaggedError("Lost")<{ readonly cause: unknown }> {}

const headersOf = ({ rawHeaders }: IncomingMessage): Headers => {
  const headers = new Headers()
  for (let at = 0; at < rawHeaders.length; at += 2) headers.append(rawHeaders[at] ?? "", rawHeaders[at + 1] ?? "")
  return headers
}

/** Starts a request whose body is still to be sent. */
const start = (url: string, method: string, headers: CallOptions["headers"]): ClientRequest =>
  nodeRequest(url, { method, agent: false, headers: { ...headers } })

/** Starts a request with a body that is JSON unless the headers say otherwise. */
const startWith = (url: string, method: string, { body, headers }: CallOptions): ClientRequest => {
  const type = body === undefined ? {} : { "content-type": "application/json" }
  const sent = start(url, method, { ...type, ...headers })
  sent.end(body === undefined || typeof body === "string" || body instanceof Uint8Array ? body : JSON.stringify(body))
  return sent
}

const responseOf = (sent: ClientRequest): Effect.Effect<IncomingMessage, Lost> =>
  Effect.callback((resume) => {
    sent.on("error", (cause) => resume(Effect.fail(new Lost({ cause }))))
    sent.on("response", (response) => resume(Effect.succeed(response)))
    return Effect.sync(() => sent.destroy())
  })

const textOf = (response: IncomingMessage): Effect.Effect<string, Lost> =>
  Effect.callback((resume) => {
    let text = ""
    response.setEncoding("utf8")
    response.on("data", (chunk: string) => (text += chunk))
    response.on("error", (cause) => resume(Effect.fail(new Lost({ cause }))))
    response.on("end", () => resume(Effect.succeed(text)))
    return Effect.sync(() => response.destroy())
  })

/** One request; interrupting it drops its connection. */
export const attempt = Effect.fnUntraced(function* (
  url: string,
  method: string,
  options: CallOptions = {}
): Effect.fn.Return<Answer, Lost> {
  const response = yield* responseOf(startWith(url, method, options))
  return { status: response.statusCode ?? 0, headers: headersOf(response), text: yield* textOf(response) }
})

/** One request to a server that answers it. */
export const call = (url: string, method: string, options?: CallOptions): Effect.Effect<Answer> =>
  Effect.orDie(attempt(url, method, options))

/** A request whose answer is read as it arrives; its connection is dropped with the scope. */
export const open = Effect.fnUntraced(function* (url: string, method: string, options: CallOptions) {
  const sent = yield* Effect.acquireRelease(
    Effect.sync(() => startWith(url, method, options)),
    (sent) => Effect.sync(() => sent.destroy())
  )
  const response = yield* Effect.orDie(responseOf(sent))
  response.setEncoding("utf8")
  const chunks: AsyncIterator<string> = response[Symbol.asyncIterator]()
  const next = Effect.promise(() => chunks.next())
  return {
    status: response.statusCode ?? 0,
    headers: headersOf(response),
    /** What has arrived since; nothing at the end. */
    next: Effect.map(next, ({ done, value }) => (done === true ? "" : value)),
    /** All that is still to arrive. */
    rest: Effect.promise(async () => {
      let text = ""
      for (let read = await chunks.next(); read.done !== true; read = await chunks.next()) text += read.value
      return text
    })
  }
})

/** A request whose body the caller sends; its connection is dropped with the scope. */
export const openRequest = (
  url: string,
  method: string,
  headers: Readonly<Record<string, string>>
): Effect.Effect<ClientRequest, never, Scope.Scope> =>
  Effect.acquireRelease(
    Effect.sync(() => start(url, method, headers)),
    (sent) => Effect.sync(() => sent.destroy())
  )

/** A connection to the server at an address. */
export const connect = (url: string): Socket => {
  const { hostname, port } = new URL(url)
  const socket = netConnect(Number(port === "" ? 80 : port), hostname)
  socket.on("error", () => {})
  return socket
}

/**
 * Writes the parts to a new connection, each after something came back for the one before it, and returns all that came
 * back until the server closed the connection, or until `isDone`.
 */
const write = (url: string, parts: ReadonlyArray<string>, isDone: (text: string) => boolean): Effect.Effect<string> =>
  Effect.callback<string>((resume) => {
    const socket = connect(url)
    const left = [...parts]
    let text = ""
    const writeNext = () => {
      const next = left.shift()
      if (next !== undefined) socket.write(next, "latin1")
    }
    socket.on("data", (chunk) => {
      text += chunk.toString("latin1")
      if (isDone(text)) socket.destroy()
      else writeNext()
    })
    socket.on("close", () => resume(Effect.succeed(text)))
    writeNext()
    return Effect.sync(() => socket.destroy())
  })

const lengthOf = (head: string) => Number(/^content-length: (\d+)/im.exec(head)?.[1] ?? Number.NaN)

/** Sends bytes, and returns all that comes back until the server closes the connection or has answered once. */
const send = (url: string, bytes: string): Effect.Effect<string> =>
  write(url, [bytes], (text) => {
    const [head = "", body = ""] = text.split("\r\n\r\n", 2)
    return body.length >= lengthOf(head)
  })

/** Sends bytes part by part, and returns all that comes back until the server closes the connection. */
export const exchange = (url: string, ...parts: ReadonlyArray<string>): Effect.Effect<string> =>
  Effect.map(
    write(
      url,
      parts.map((part) => Buffer.from(part, "utf8").toString("latin1")),
      () => false
    ),
    (text) => Buffer.from(text, "latin1").toString("utf8")
  )

/** Sends these lines and nothing else, and returns the status and the body. */
const ask = Effect.fnUntraced(function* (url: string, line: string, ...headers: ReadonlyArray<string>) {
  const answer = yield* send(url, [line, ...headers, "", ""].join("\r\n"))
  const [head = "", body = ""] = answer.split("\r\n\r\n", 2)
  assert.match(head, /^x-request-id: [A-Za-z0-9._-]{1,128}$/im, line)
  return [Number(head.split(" ")[1]), body] as const
})

/** Requests to one server in the test's own bytes. */
export const raw = (url: string) => ({
  send: (bytes: string) => send(url, bytes),
  ask: (line: string, ...headers: ReadonlyArray<string>) => ask(url, line, ...headers)
})

const unchunked = (body: string): string => {
  const [, size = "0", rest = ""] = /^([0-9a-f]+)\r\n([^]*)$/i.exec(body) ?? []
  const bytes = Buffer.from(rest)
  const length = Number.parseInt(size, 16)
  return length === 0 ? "" : bytes.subarray(0, length).toString() + unchunked(bytes.subarray(length + 2).toString())
}

/** The answers of an exchange, interim ones included. */
export const answersIn = (text: string): ReadonlyArray<Answer> =>
  text.split(/(?=HTTP\/1\.1 \d{3} )/).map((answer) => {
    const [head = "", ...body] = answer.split("\r\n\r\n")
    const [line = "", ...lines] = head.split("\r\n")
    const headers = new Headers(
      lines.map((header): [string, string] => {
        const colon = header.indexOf(":")
        return [header.slice(0, colon), header.slice(colon + 1).trim()]
      })
    )
    const content = body.join("\r\n\r\n")
    return {
      status: Number(line.split(" ")[1]),
      headers,
      text: headers.get("transfer-encoding") === "chunked" ? unchunked(content) : content
    }
  })
