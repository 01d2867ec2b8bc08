/**
 * The script of a fake: which reply a prompt gets.
 */
import { Effect } from "effect"
import type { Schema } from "effect"
import type { SessionId } from "../wire/Ids.ts"
import type { McpServer } from "../wire/McpServers.ts"
import * as Reply from "./Reply.ts"

/** The session of a prompt, or the run that it is. */
export interface Asked {
  /** Undefined for a run. */
  readonly id: SessionId | undefined
  readonly agent: string
  readonly model: string | undefined
  readonly effort: string | undefined
  readonly system: { readonly text: string; readonly mode: "append" | "replace" } | undefined
  readonly meta: { readonly [key: string]: Schema.Json } | undefined
  /** Its MCP servers. */
  readonly mcpServers: ReadonlyArray<McpServer>
  /** The workspace that it works in. */
  readonly workspace: { readonly name: string; readonly mode: "clone" | "copy" | "shared" } | undefined
}

/** A file that came with a prompt. */
export interface File {
  readonly name: string
  /** Where a real agent would find it. */
  readonly path: string
  readonly mediaType: string | undefined
  readonly content: Uint8Array
}

/** An earlier turn of the session. */
export interface Past {
  readonly prompt: string
  /** What the agent was to say. */
  readonly text: string
}

export interface Context {
  readonly session: Asked
  /** The session's earlier turns that the agent was handed, oldest first. */
  readonly history: ReadonlyArray<Past>
  readonly files: ReadonlyArray<File>
}

/** A text is a reply that says it. */
export type Said = Reply.Reply | string

/**
 * The replies in their order, of each session anew and of all runs together, or a function of the prompt. A prompt after the
 * last reply of a list is a defect of the test.
 */
export type Script = ReadonlyArray<Said> | ((prompt: string, context: Context) => Said | Effect.Effect<Said>)

/** Chooses the reply to a prompt. */
export type Choose = (prompt: string, context: Context) => Effect.Effect<Reply.Reply>

const toReply = (said: Said): Reply.Reply => (typeof said === "string" ? Reply.text(said) : said)

const inOrder = (replies: ReadonlyArray<Said>): Choose => {
  const counts = new Map<SessionId | undefined, number>()
  return (prompt, { session: { id } }) =>
    Effect.suspend(() => {
      const count = counts.get(id) ?? 0
      const said = replies[count]
      counts.set(id, count + 1)
      if (said !== undefined) return Effect.succeed(toReply(said))
      const whose = id === undefined ? "the runs" : `session ${id}`
      return Effect.die(
        new Error(
          `the script has ${replies.length} ${replies.length === 1 ? "reply" : "replies"}, and prompt ${count + 1} of ${whose} is ${JSON.stringify(prompt)}`
        )
      )
    })
}

export const make = (script: Script): Choose => {
  if (typeof script !== "function") return inOrder(script)
  return (prompt, context) =>
    Effect.suspend(() => {
      const said = script(prompt, context)
      return Effect.map(Effect.isEffect(said) ? said : Effect.succeed(said), toReply)
    })
}
