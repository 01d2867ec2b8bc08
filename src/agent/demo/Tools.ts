/**
 * The tools of the demo agent, for each use of which it asks for permission.
 *
 * boundary: bare Node (see JsonRpc.ts).
 */
import { mkdirSync, readFileSync, writeFileSync } from "node:fs"
import { dirname, join, relative } from "node:path"
import { fileURLToPath } from "node:url"
import type { FileRead } from "./Answer.ts"
import type { Context } from "./Context.ts"
import { isRecord } from "./JsonRpc.ts"

/** The most characters of a file reported as the tool's output. */
const maxOutputLength = 4_000

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

export const readFile = async (
  context: Context,
  file: { readonly name: string; readonly uri: string },
  index: number
) => {
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

/** What a tool is used for. */
interface Use {
  readonly title: string
  readonly kind: "edit" | "execute"
  readonly input: Readonly<Record<string, unknown>>
  readonly content?: ReadonlyArray<unknown>
  readonly locations?: ReadonlyArray<unknown>
}

/** Uses a tool, if that is permitted; `work` does it, and returns its output. Returns whether it was done. */
const use = async (context: Context, { input, kind, title, ...shown }: Use, work: () => string): Promise<boolean> => {
  const toolCallId = `${kind}-${context.memory.turns.length + 1}`
  const patch = (fields: Readonly<Record<string, unknown>>): void =>
    context.update({ sessionUpdate: "tool_call_update", toolCallId, ...fields })
  context.update({ sessionUpdate: "tool_call", toolCallId, title, kind, status: "pending", rawInput: input, ...shown })
  if (!(await requestPermission(context, toolCallId, title))) {
    patch({ status: "failed", rawOutput: "Permission was denied." })
    return false
  }
  patch({ status: "in_progress" })
  patch({ status: "completed", rawOutput: work() })
  return true
}

/** Runs nothing, but asks as if it did. */
export const pretend = (context: Context, command: string): Promise<boolean> =>
  use(context, { title: `Run ${command}`, kind: "execute", input: { command } }, () => "")

/** Writes a file in the working directory, which it does not leave. */
export const writeFile = (context: Context, name: string, text: string): Promise<boolean> => {
  const { cwd } = context.memory
  const path = join(cwd, name)
  if (relative(cwd, path).startsWith("..")) return Promise.resolve(false)
  const content = [{ type: "diff", path, oldText: readText(path) ?? null, newText: text }]
  return use(context, { title: `Write ${name}`, kind: "edit", input: { path }, content, locations: [{ path }] }, () => {
    mkdirSync(dirname(path), { recursive: true })
    writeFileSync(path, text)
    return `${Buffer.byteLength(text)} bytes`
  })
}
