/**
 * What a model API asks and answers, without the words of any one API. Each dialect reads requests into this and writes
 * answers from it.
 */

/** The parts of a request to the model that checks use. */
export interface ModelRequest {
  readonly model: string
  readonly effort: string | undefined
  readonly system: string
  /** All messages, as JSON. */
  readonly conversation: string
  /** The last message, as JSON. */
  readonly last: string
  /** Whether the last message is the result of a tool. */
  readonly isToolResult: boolean
  /** Conversations offer tools to the model; requests for titles, summaries and suggestions do not. */
  readonly tools: ReadonlyArray<string>
  /** Whether the answer is to be streamed. */
  readonly streams: boolean
}

export type Block =
  | { readonly type: "text"; readonly text: string }
  | { readonly type: "thinking"; readonly thinking: string }
  | ToolUse

export interface ToolUse {
  readonly type: "tool_use"
  readonly name: string
  readonly input: Readonly<Record<string, unknown>>
}

/** What the model answers, with an id that no other answer has. */
export interface Reply {
  readonly id: number
  readonly model: string
  readonly blocks: ReadonlyArray<Block>
}

export interface Dialect {
  readonly method: "GET" | "POST"
  readonly path: RegExp
  /** Reads a request, if it is one; `path` is what `path` matched. */
  readonly read: (body: unknown, path: RegExpExecArray) => ModelRequest | undefined
  /** The chunks of a stream up to the last piece of the last block, without the end of that block. */
  readonly begin: (reply: Reply) => ReadonlyArray<string>
  /** The rest of the stream. */
  readonly end: (reply: Reply) => ReadonlyArray<string>
  /** The same answer as one body, for a request that does not stream. */
  readonly whole: (reply: Reply) => unknown
  /** The body of a failure. */
  readonly failure: (status: number, type: string, message: string) => unknown
}

/** The token usage reported for each answer; `input` does not include `cached`. */
export const usage = { input: 11, cached: 5, output: 7 }

export const text = (text: string): Block => ({ type: "text", text })
export const thinking = (thinking: string): Block => ({ type: "thinking", thinking })
export const toolUse = (name: string, input: Readonly<Record<string, unknown>>): ToolUse => ({
  type: "tool_use",
  name,
  input
})

/** The id of a block that is a tool call. */
export const callId = (reply: Reply, index: number): string => `call_${reply.id}_${index}`

/** Cuts a text into the small pieces that an API streams. */
export const pieces = (text: string): ReadonlyArray<string> => text.match(/[^]{1,12}/g) ?? []

/** The text of all text blocks. */
export const textOf = (blocks: ReadonlyArray<Block>): string =>
  blocks.map((block) => (block.type === "text" ? block.text : "")).join("")

/** The tool calls among the blocks, with their positions. */
export const toolUsesOf = (blocks: ReadonlyArray<Block>): ReadonlyArray<readonly [number, ToolUse]> =>
  blocks.flatMap((block, index) => (block.type === "tool_use" ? [[index, block] as const] : []))

/** One server-sent event, with a name where the API has one. */
export const frame = (data: unknown, event?: string): string =>
  `${event === undefined ? "" : `event: ${event}\n`}data: ${typeof data === "string" ? data : JSON.stringify(data)}\n\n`
