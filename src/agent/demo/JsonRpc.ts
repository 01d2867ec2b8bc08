/**
 * JSON-RPC over standard input and output, one message per line, as the Agent Client Protocol requires.
 *
 * boundary: the demo agent is a bare Node program without dependencies, so that it starts in about 30 ms;
 * its files use promises and exceptions.
 */

/** Thrown by a handler to answer its request with a JSON-RPC error. */
export class RpcError extends Error {
  readonly code: number
  constructor(code: number, message: string) {
    super(message)
    this.code = code
  }
}

export type Params = Readonly<Record<string, unknown>>

export const isRecord = (value: unknown): value is Params =>
  typeof value === "object" && value !== null && !Array.isArray(value)

/** Reads a required string field of a request. */
export const stringField = (params: Params, name: string): string => {
  const value = params[name]
  if (typeof value !== "string") throw new RpcError(-32602, `${name} must be a string`)
  return value
}

/** The client, for notifications and requests from the agent. */
export interface Client {
  readonly notify: (method: string, params: Params) => void
  readonly request: (method: string, params: Params) => Promise<unknown>
}

/** A handler for each method. Its result is the response; for a notification it is ignored. */
export type Handlers = Readonly<Record<string, (params: Params, client: Client) => unknown>>

const send = (message: Params): void => {
  process.stdout.write(`${JSON.stringify({ jsonrpc: "2.0", ...message })}\n`)
}

const errorOf = (error: unknown): Params =>
  error instanceof RpcError
    ? { code: error.code, message: error.message }
    : { code: -32603, message: error instanceof Error ? error.message : String(error) }

/** Serves the handlers until standard input closes, which also ends the process. */
export const serve = (handlers: Handlers): void => {
  const pending = new Map<unknown, (result: unknown) => void>()
  let nextId = 0
  const client: Client = {
    notify: (method, params) => send({ method, params }),
    request: (method, params) =>
      new Promise((resolve) => {
        const id = `demo-${nextId++}`
        pending.set(id, resolve)
        send({ id, method, params })
      })
  }

  const handle = async (method: string, params: Params): Promise<unknown> => {
    const handler = Object.hasOwn(handlers, method) ? handlers[method] : undefined
    if (handler === undefined) throw new RpcError(-32601, `Method not found: ${method}`)
    return handler(params, client)
  }

  const receive = async (message: Params): Promise<void> => {
    const { id, method } = message
    if (typeof method !== "string") {
      pending.get(id)?.(message["result"])
      pending.delete(id)
      return
    }
    const params = isRecord(message["params"]) ? message["params"] : {}
    try {
      const result = await handle(method, params)
      if (id !== undefined) send({ id, result: result ?? {} })
    } catch (error) {
      if (id !== undefined) send({ id, error: errorOf(error) })
    }
  }

  const receiveLine = (line: string): void => {
    if (line.trim() === "") return
    try {
      const message: unknown = JSON.parse(line)
      if (isRecord(message)) void receive(message)
    } catch {
      send({ id: null, error: { code: -32700, message: "Parse error" } })
    }
  }

  let rest = ""
  process.stdin.setEncoding("utf8")
  process.stdin.on("data", (text: string) => {
    const lines = (rest + text).split("\n")
    rest = lines.pop() ?? ""
    for (const line of lines) receiveLine(line)
  })
  process.stdin.on("end", () => process.exit(0))
  process.stdout.on("error", () => process.exit(0))
}
