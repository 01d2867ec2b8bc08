/**
 * What a turn of the demo agent works with.
 */
import type { Client } from "./JsonRpc.ts"
import type { Memory } from "./Memory.ts"

export interface Context {
  readonly memory: Memory
  readonly client: Client
  readonly signal: AbortSignal
  readonly update: (update: Readonly<Record<string, unknown>>) => void
}

export const say = (context: Context, text: string): void =>
  context.update({ sessionUpdate: "agent_message_chunk", content: { type: "text", text } })
