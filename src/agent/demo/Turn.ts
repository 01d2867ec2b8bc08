/**
 * One turn of the demo agent: it thinks, plans, reads the attached files with a tool, and streams its answer.
 *
 * boundary: bare Node (see JsonRpc.ts).
 */
import { setTimeout as pause } from "node:timers/promises"
import { answer, type FileRead, pieces } from "./Answer.ts"
import { commands, repairOf, type Said } from "./Commands.ts"
import { type Context, say } from "./Context.ts"
import { type Client, isRecord } from "./JsonRpc.ts"
import { efforts, type Memory, save } from "./Memory.ts"
import { readFile } from "./Tools.ts"

/** Long enough to see the answer stream, short enough not to wait for it. */
const pauseMillis = 15

/** Long enough to give up on it. */
const longPauseMillis = 5_000

const plan = (context: Context, steps: ReadonlyArray<string>, status: "pending" | "completed"): void =>
  context.update({
    sessionUpdate: "plan",
    entries: steps.map((content) => ({ content, priority: "medium", status }))
  })

/** Thinks (more with a higher effort), plans, reads, and streams the answer. */
const converse = async (context: Context, prompt: string, blocks: ReadonlyArray<unknown>): Promise<Said> => {
  const { memory } = context
  const links = blocks.flatMap((block) =>
    isRecord(block) && block["type"] === "resource_link"
      ? [{ name: String(block["name"]), uri: String(block["uri"]) }]
      : []
  )
  const steps = [...links.map(({ name }) => `Read ${name}`), "Look back at the earlier turns", "Answer"]
  const thoughts = [`This is turn ${memory.turns.length + 1} of the session. `, "What was said before? ", "And now? "]
  for (const text of thoughts.slice(0, efforts.indexOf(memory.effort) + 1)) {
    context.update({ sessionUpdate: "agent_thought_chunk", content: { type: "text", text } })
    await pause(pauseMillis, undefined, { signal: context.signal })
  }
  plan(context, steps, "pending")
  if (/\btake your time\b/i.test(prompt)) await pause(longPauseMillis, undefined, { signal: context.signal })
  const files: Array<FileRead> = []
  for (const [index, link] of links.entries()) files.push(await readFile(context, link, index))
  const images = blocks.flatMap((block) =>
    isRecord(block) && block["type"] === "image"
      ? [{ type: String(block["mimeType"]), size: Buffer.from(String(block["data"]), "base64").byteLength }]
      : []
  )
  const text = answer({
    prompt,
    images,
    earlier: memory.turns.map((turn) => turn.prompt),
    files,
    terse: memory.model === "demo-terse"
  })
  for (const piece of pieces(text)) {
    say(context, piece)
    await pause(pauseMillis, undefined, { signal: context.signal })
  }
  plan(context, steps, "completed")
  return { text }
}

const tokens = (text: string): number => Math.ceil(text.length / 4)

/** Runs one prompt and returns the response to it. */
export const run = async (memory: Memory, client: Client, blocks: ReadonlyArray<unknown>): Promise<unknown> => {
  const prompt = blocks
    .flatMap((block) => (isRecord(block) && block["type"] === "text" ? [String(block["text"])] : []))
    .join("\n")
  const controller = new AbortController()
  memory.cancel = () => controller.abort()
  const context: Context = {
    memory,
    client,
    signal: controller.signal,
    update: (update) => client.notify("session/update", { sessionId: memory.sessionId, update })
  }
  const [, name = "", rest = ""] = /^(\/[a-z-]+)\s*([^]*)$/.exec(prompt) ?? []
  const command = Object.hasOwn(commands, name) ? commands[name] : undefined
  const repair = command === undefined ? repairOf(context) : undefined
  let said: Said = { text: "" }
  try {
    said = await (command?.(context, rest) ??
      (repair === undefined ? converse(context, prompt, blocks) : commands["/echo"]?.(context, repair)) ??
      said)
  } catch (error) {
    if (!controller.signal.aborted) throw error
  } finally {
    memory.cancel = undefined
    memory.turns.push({ prompt, answer: said.text })
    save(memory)
  }
  const history = memory.turns.map((turn) => turn.prompt + turn.answer).join("")
  context.update({ sessionUpdate: "usage_update", used: tokens(history), size: 200_000 })
  const usage = {
    inputTokens: tokens(prompt),
    outputTokens: tokens(said.text),
    totalTokens: tokens(prompt) + tokens(said.text)
  }
  return { stopReason: controller.signal.aborted ? "cancelled" : (said.stopReason ?? "end_turn"), usage }
}
