/**
 * One turn of the demo agent: it thinks, plans, reads the attached files with a tool, and streams its answer.
 *
 * boundary: bare Node (see JsonRpc.ts).
 */
import { readFileSync } from "node:fs"
import { setTimeout as pause } from "node:timers/promises"
import { fileURLToPath } from "node:url"
import { answer, type FileRead, pieces } from "./Answer.ts"
import { type Client, isRecord, RpcError } from "./JsonRpc.ts"
import { efforts, type Memory, save } from "./Memory.ts"

/** Long enough to see the answer stream, short enough not to wait for it. */
const pauseMillis = 15

/** The most characters of a file reported as the tool's output. */
const maxOutputLength = 4_000

interface Context {
  readonly memory: Memory
  readonly client: Client
  readonly signal: AbortSignal
  readonly update: (update: Readonly<Record<string, unknown>>) => void
}

const say = (context: Context, text: string): void =>
  context.update({ sessionUpdate: "agent_message_chunk", content: { type: "text", text } })

const plan = (context: Context, steps: ReadonlyArray<string>, status: "pending" | "completed"): void =>
  context.update({
    sessionUpdate: "plan",
    entries: steps.map((content) => ({ content, priority: "medium", status }))
  })

/** Asks the client for permission; cancelling the turn ends the wait. */
const requestPermission = async (context: Context, toolCallId: string, title: string): Promise<boolean> => {
  const response = context.client.request("session/request_permission", {
    sessionId: context.memory.sessionId,
    toolCall: { toolCallId, title, status: "pending" },
    options: [
      { optionId: "once", name: "Allow once", kind: "allow_once" },
      { optionId: "always", name: "Always allow", kind: "allow_always" },
      { optionId: "no", name: "Reject", kind: "reject_once" }
    ]
  })
  const aborted = new Promise<undefined>((resolve) => {
    context.signal.addEventListener("abort", () => resolve(undefined), { once: true })
  })
  const result = await Promise.race([response, aborted])
  context.signal.throwIfAborted()
  const outcome = isRecord(result) ? result["outcome"] : undefined
  return isRecord(outcome) && (outcome["optionId"] === "once" || outcome["optionId"] === "always")
}

const readText = (path: string): string | undefined => {
  try {
    return readFileSync(path, "utf8")
  } catch {
    return undefined
  }
}

const readFile = async (context: Context, file: { readonly name: string; readonly uri: string }, index: number) => {
  const toolCallId = `read-${context.memory.turns.length + 1}-${index + 1}`
  const title = `Read ${file.name}`
  const path = file.uri.startsWith("file://") ? fileURLToPath(file.uri) : file.uri
  const patch = (fields: Readonly<Record<string, unknown>>): void =>
    context.update({ sessionUpdate: "tool_call_update", toolCallId, ...fields })
  context.update({ sessionUpdate: "tool_call", toolCallId, title, kind: "read", status: "pending", rawInput: {} })
  patch({ rawInput: { path }, locations: [{ path }] })
  const isAllowed = await requestPermission(context, toolCallId, title)
  if (isAllowed) patch({ status: "in_progress" })
  const text = isAllowed ? readText(path) : undefined
  patch(
    text === undefined
      ? { status: "failed", rawOutput: isAllowed ? "The file could not be read." : "Permission was denied." }
      : { status: "completed", rawOutput: text.slice(0, maxOutputLength) }
  )
  return { name: file.name, text } satisfies FileRead
}

/** Thinks (more with a higher effort), plans, reads, and streams the answer. */
const converse = async (context: Context, prompt: string, blocks: ReadonlyArray<unknown>): Promise<string> => {
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
  const files: Array<FileRead> = []
  for (const [index, link] of links.entries()) files.push(await readFile(context, link, index))
  const text = answer({
    prompt,
    earlier: memory.turns.map((turn) => turn.prompt),
    files,
    terse: memory.model === "demo-terse"
  })
  for (const piece of pieces(text)) {
    say(context, piece)
    await pause(pauseMillis, undefined, { signal: context.signal })
  }
  plan(context, steps, "completed")
  return text
}

const echo = (context: Context, text: string): string => {
  say(context, text)
  return text
}

/** The prompts that are commands; Main.ts documents them. */
const commands: Readonly<Record<string, (context: Context, rest: string) => Promise<string> | string>> = {
  "/echo": echo,
  "/system": (context) => echo(context, context.memory.system),
  "/settings": (context) => echo(context, `${context.memory.model}, ${context.memory.effort}`),
  "/chunks": async (context, rest) => {
    const [count = 0, millis = 0] = rest.split(/\s+/).map(Number)
    for (let index = 1; index <= count; index++) {
      say(context, `${index} `)
      if (millis > 0) await pause(millis, undefined, { signal: context.signal })
    }
    return `${count} chunks`
  },
  "/wait": async (context) => {
    say(context, "Waiting.")
    await pause(2 ** 31 - 1, undefined, { signal: context.signal })
    return ""
  },
  "/fail": (_, rest) => {
    throw new RpcError(-32603, rest)
  },
  "/exit": (context, rest) => {
    say(context, "Leaving.")
    process.stderr.write(`demo agent: told to exit with ${rest}\n`)
    return process.exit(Number(rest))
  }
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
  const [, name = "", rest = ""] = /^(\/[a-z]+)\s*([^]*)$/.exec(prompt) ?? []
  const command = Object.hasOwn(commands, name) ? commands[name] : undefined
  let text = ""
  try {
    text = await (command === undefined ? converse(context, prompt, blocks) : command(context, rest))
  } catch (error) {
    if (!controller.signal.aborted) throw error
  } finally {
    memory.cancel = undefined
    memory.turns.push({ prompt, answer: text })
    save(memory)
  }
  const history = memory.turns.map((turn) => turn.prompt + turn.answer).join("")
  context.update({ sessionUpdate: "usage_update", used: tokens(history), size: 200_000 })
  const usage = { inputTokens: tokens(prompt), outputTokens: tokens(text), totalTokens: tokens(prompt) + tokens(text) }
  return { stopReason: controller.signal.aborted ? "cancelled" : "end_turn", usage }
}
