/**
 * The prompts of the demo agent that are commands; Main.ts documents them.
 *
 * boundary: bare Node (see JsonRpc.ts).
 */
import { setTimeout as pause } from "node:timers/promises"
import { type Context, say } from "./Context.ts"
import { isRecord, RpcError } from "./JsonRpc.ts"
import * as Tools from "./Tools.ts"

/** What a command says, and why the turn ends where that is not its end. */
export interface Said {
  readonly text: string
  readonly stopReason?: string
}

export type Command = (context: Context, rest: string) => Promise<Said> | Said

const echo: Command = (context, text) => {
  say(context, text)
  return { text }
}

/** A command's own text: what follows it on its line. A caller may add instructions after that. */
const firstLine = (rest: string): string => rest.split("\n")[0]?.trim() ?? ""

const isJson = (text: string): boolean => {
  try {
    JSON.parse(text)
    return true
  } catch {
    return false
  }
}

/** The JSON that follows a command, on as many lines as it has. What is none is the rest of the line. */
const jsonOf = (rest: string): string => {
  const lines = rest.split("\n")
  const texts = lines.map((_, index) =>
    lines
      .slice(0, index + 1)
      .join("\n")
      .trim()
  )
  return texts.find(isJson) ?? firstLine(rest)
}

const repaired = "/json-repaired"

const aboutServer = (server: unknown): string => {
  if (!isRecord(server)) return ""
  const headers = (Array.isArray(server["headers"]) ? server["headers"] : []).flatMap((header: unknown) =>
    isRecord(header) ? [`${String(header["name"])} (${String(header["value"]).length})`] : []
  )
  return [String(server["name"]), String(server["url"]), ...headers].join(" ")
}

export const commands: Readonly<Record<string, Command>> = {
  "/echo": echo,
  "/system": (context) => echo(context, context.memory.system),
  "/mcp": (context) => echo(context, context.memory.servers.map(aboutServer).join("\n")),
  "/settings": (context) => echo(context, `${context.memory.model}, ${context.memory.effort}`),
  "/chunks": async (context, rest) => {
    const [count = 0, millis = 0] = rest.split(/\s+/).map(Number)
    for (let index = 1; index <= count; index++) {
      say(context, `${index} `)
      if (millis > 0) await pause(millis, undefined, { signal: context.signal })
    }
    return { text: `${count} chunks` }
  },
  "/wait": async (context) => {
    say(context, "Waiting.")
    await pause(2 ** 31 - 1, undefined, { signal: context.signal })
    return { text: "" }
  },
  "/sleep": async (context, rest) => {
    const seconds = Number(firstLine(rest))
    await pause(seconds * 1000, undefined, { signal: context.signal })
    return echo(context, `I took ${seconds} ${seconds === 1 ? "second" : "seconds"}.`)
  },
  "/json": (context, rest) => echo(context, jsonOf(rest)),
  "/json-fenced": (context, rest) => echo(context, `Here it is:\n\n\`\`\`json\n${jsonOf(rest)}\n\`\`\``),
  "/json-wrong": (context) => echo(context, "I would rather not answer with JSON."),
  [repaired]: (context) => echo(context, "I forgot that it should be JSON."),
  "/silent": () => ({ text: "" }),
  "/refuse": (context) => {
    say(context, "I will not do that.")
    return { text: "I will not do that.", stopReason: "refusal" }
  },
  "/overflow": (context) => {
    say(context, "This is longer than")
    return { text: "This is longer than", stopReason: "max_tokens" }
  },
  "/tool": async (context, rest) => {
    const command = firstLine(rest) || "ls"
    const done = await Tools.pretend(context, command)
    return echo(context, done ? `I ran ${command}.` : `I was not allowed to run ${command}.`)
  },
  "/write": async (context, rest) => {
    const [, name = "", text = ""] = /^(\S+)\s*([^]*)$/.exec(rest) ?? []
    const done = await Tools.writeFile(context, name, text)
    return echo(context, done ? `I wrote ${name}.` : `I could not write ${name}.`)
  },
  "/fail": (_, rest) => {
    throw new RpcError(-32603, rest)
  },
  "/exit": (context, rest) => {
    say(context, "Leaving.")
    process.stderr.write(`demo agent: exiting with ${rest}, as the prompt asks\n`)
    return process.exit(Number(rest))
  },
  "/crash": async (context) => {
    say(context, "Crashing.")
    process.stderr.write("demo agent: crashing, as the prompt asks\n")
    process.kill(process.pid, "SIGKILL")
    await pause(2 ** 31 - 1, undefined, { signal: context.signal })
    return { text: "" }
  }
}

/** The JSON that the prompt before asked to be given only when its answer is complained of. */
export const repairOf = ({ memory }: Context): string | undefined => {
  const before = memory.turns.at(-1)?.prompt ?? ""
  return before.startsWith(`${repaired} `) ? jsonOf(before.slice(repaired.length)) : undefined
}
