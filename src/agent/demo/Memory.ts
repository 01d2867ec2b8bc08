/**
 * The demo agent's state of a session, saved to a small file so that another process can restore it.
 *
 * boundary: bare Node (see JsonRpc.ts).
 */
import { mkdirSync, readFileSync, renameSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { isRecord, RpcError } from "./JsonRpc.ts"

export interface Turn {
  readonly prompt: string
  readonly answer: string
}

export interface Memory {
  readonly sessionId: string
  readonly cwd: string
  /** The system prompt; an agent with a model would begin every prompt with it. */
  readonly system: string
  /** The MCP servers that it was given now; it calls none. */
  readonly servers: ReadonlyArray<unknown>
  model: string
  effort: string
  readonly turns: Array<Turn>
  /** Ends the turn in flight. */
  cancel: (() => void) | undefined
}

/** What a session is given whenever it is created or restored. */
export type Given = Pick<Memory, "cwd" | "servers" | "system">

export const models = ["demo", "demo-terse"]
export const efforts = ["low", "medium", "high", "xhigh", "max"]

/** The file is in the session's working directory, unless the environment names another folder. */
const fileOf = (cwd: string, sessionId: string): string => {
  if (!/^[A-Za-z0-9-]{1,64}$/.test(sessionId)) throw new RpcError(-32002, `Session not found: ${sessionId}`)
  const folder = process.env["DEMO_AGENT_STATE"] ?? join(cwd, ".demo-agent")
  mkdirSync(folder, { recursive: true, mode: 0o700 })
  // It is no change of what the session works on.
  writeFileSync(join(folder, ".gitignore"), "*\n", { mode: 0o600 })
  return join(folder, `${sessionId}.json`)
}

export const create = ({ cwd, servers, system }: Given): Memory => {
  const memory: Memory = {
    sessionId: crypto.randomUUID(),
    cwd,
    system,
    servers,
    model: models[0] ?? "",
    effort: "low",
    turns: [],
    cancel: undefined
  }
  save(memory)
  return memory
}

/** Writes to a temporary file and renames it, so that a crash leaves the previous file intact. */
export const save = ({ cwd, effort, model, sessionId, turns }: Memory): void => {
  const file = fileOf(cwd, sessionId)
  writeFileSync(`${file}.new`, JSON.stringify({ model, effort, turns }), { mode: 0o600 })
  renameSync(`${file}.new`, file)
}

export const load = (sessionId: string, { cwd, servers, system }: Given): Memory => {
  const file = fileOf(cwd, sessionId)
  let text: string
  try {
    text = readFileSync(file, "utf8")
  } catch {
    throw new RpcError(-32002, `Session not found: ${sessionId}`)
  }
  const saved: unknown = JSON.parse(text)
  if (!isRecord(saved) || !Array.isArray(saved["turns"])) throw new RpcError(-32603, `Not a session file: ${file}`)
  return {
    sessionId,
    cwd,
    system,
    servers,
    model: String(saved["model"]),
    effort: String(saved["effort"]),
    turns: saved["turns"].map((turn: unknown) =>
      isRecord(turn)
        ? { prompt: String(turn["prompt"]), answer: String(turn["answer"]) }
        : { prompt: String(turn), answer: "" }
    ),
    cancel: undefined
  }
}

const select = (id: string, category: string, name: string, currentValue: string, values: ReadonlyArray<string>) => ({
  type: "select",
  id,
  name,
  category,
  currentValue,
  options: values.map((value) => ({ value, name: value }))
})

/** Model and effort as the protocol's config options. */
export const configOptions = (memory: Memory): ReadonlyArray<unknown> => [
  select("model", "model", "Model", memory.model, models),
  select("effort", "thought_level", "Effort", memory.effort, efforts)
]

export const setOption = (memory: Memory, option: string, value: string): void => {
  if (option === "model" && models.includes(value)) memory.model = value
  else if (option === "effort" && efforts.includes(value)) memory.effort = value
  else throw new RpcError(-32602, `There is no ${option} ${JSON.stringify(value)}`)
  save(memory)
}
