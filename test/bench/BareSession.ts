/**
 * A session with the demo agent over the protocol library alone, without a server.
 */
import { client, ndJsonStream } from "@agentclientprotocol/sdk"
import { spawn } from "node:child_process"
import { once } from "node:events"
import { Readable, Writable } from "node:stream"
import * as DemoAgent from "../../src/agent/DemoAgent.ts"

/** Opens a session; `onUpdate` is called for each update of a turn. */
export const open = async (cwd: string, onUpdate: () => void) => {
  const [command, ...args] = DemoAgent.definition.command
  const child = spawn(command, args, { cwd, stdio: ["pipe", "pipe", "inherit"] })
  // node:stream types the result as a stream of anything; a pipe carries bytes.
  const stdout = Readable.toWeb(child.stdout) as ReadableStream<Uint8Array>
  const connection = client({ name: "bench" })
    .onNotification("session/update", onUpdate)
    .connect(ndJsonStream(Writable.toWeb(child.stdin), stdout))
  const { agent } = connection
  await agent.request("initialize", { protocolVersion: 1 })
  const { sessionId } = await agent.request("session/new", { cwd, mcpServers: [] })
  return {
    turn: (text: string) => agent.request("session/prompt", { sessionId, prompt: [{ type: "text", text }] }),
    close: async () => {
      const ended = once(child, "exit")
      child.stdin.end()
      await ended
    }
  }
}
