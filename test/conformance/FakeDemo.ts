/**
 * The demo agent as a script of the fake: what the suite knows of its answers.
 */
import { Duration, Redacted } from "effect"
import * as Answer from "../../src/agent/demo/Answer.ts"
import { ForgeTest } from "../../src/testing/index.ts"
import type { TurnEvent } from "../../src/index.ts"

const efforts = ["low", "medium", "high", "xhigh", "max"]

const tokens = (text: string): number => Math.ceil(text.length / 4)

type Said = (context: ForgeTest.ScriptContext, rest: string) => ForgeTest.Reply

/** What it says, with what it uses for that. */
const saying = (
  prompt: string,
  history: ReadonlyArray<ForgeTest.Past>,
  text: string,
  events: ReadonlyArray<TurnEvent.TurnEvent>,
  options: ForgeTest.AnswerOptions = {}
): ForgeTest.Reply => {
  const all = [...history, { prompt, text }].map(({ prompt, text }) => prompt + text).join("")
  const usage = { inputTokens: tokens(prompt), outputTokens: tokens(text), totalTokens: tokens(prompt) + tokens(text) }
  return ForgeTest.events([...events, { _tag: "Usage", used: tokens(all), size: 200_000 }], { usage, ...options })
}

const plan = (steps: ReadonlyArray<string>, status: string): TurnEvent.TurnEvent => ({
  _tag: "Plan",
  entries: steps.map((content) => ({ content, priority: "medium", status }))
})

const textOf = (content: string): TurnEvent.TurnEvent => ({ _tag: "Text", content })

const converse = (prompt: string, { files, history, session }: ForgeTest.ScriptContext): ForgeTest.Reply => {
  const read = files.map(({ content, name }) => ({ name, text: new TextDecoder().decode(content) }))
  const steps = [...read.map(({ name }) => `Read ${name}`), "Look back at the earlier turns", "Answer"]
  const thoughts = [`This is turn ${history.length + 1} of the session. `, "What was said before? ", "And now? "]
  const images = files
    .filter(({ mediaType }) => mediaType === "image/png")
    .map(({ content, mediaType = "" }) => ({ type: mediaType, size: content.byteLength }))
  const text = Answer.answer({
    prompt,
    images,
    earlier: history.map(({ prompt }) => prompt),
    files: read,
    terse: session.model === "demo-terse"
  })
  const events: ReadonlyArray<TurnEvent.TurnEvent> = [
    ...thoughts
      .slice(0, efforts.indexOf(session.effort ?? "low") + 1)
      .map((content): TurnEvent.TurnEvent => ({ _tag: "Thinking", content })),
    plan(steps, "pending"),
    ...files.flatMap(({ content, name, path }, index): ReadonlyArray<TurnEvent.TurnEvent> => {
      const call = {
        _tag: "ToolCall",
        id: `read-${history.length + 1}-${index + 1}`,
        name: `Read ${name}`,
        title: `Read ${name}`,
        kind: "read"
      } as const
      const done = { args: { path }, locations: [{ path }] }
      return [
        { ...call, status: "pending", args: {} },
        { ...call, ...done, status: "pending" },
        { ...call, ...done, status: "completed", result: new TextDecoder().decode(content) }
      ]
    }),
    ...Answer.pieces(text).map(textOf),
    plan(steps, "completed")
  ]
  return saying(prompt, history, text, events)
}

const commands: Readonly<Record<string, Said>> = {
  "/echo": ({ history }, rest) => saying(`/echo ${rest}`, history, rest, [textOf(rest)]),
  "/system": ({ history, session: { system } }) => {
    const own = "You are the demo agent."
    const text = system === undefined ? own : system.mode === "replace" ? system.text : `${own}\n\n${system.text}`
    return saying("/system", history, text, [textOf(text)])
  },
  "/mcp": ({ history, session: { mcpServers } }) => {
    const text = mcpServers
      .map(({ headers = {}, name, url }) =>
        [
          name,
          url,
          ...Object.entries(headers).map(([name, value]) => `${name} (${Redacted.value(value).length})`)
        ].join(" ")
      )
      .join("\n")
    return saying("/mcp", history, text, [textOf(text)])
  },
  "/settings": ({ history, session: { effort = "low", model = "demo" } }) => {
    const text = `${model}, ${effort}`
    return saying("/settings", history, text, [textOf(text)])
  },
  "/chunks": ({ history }, rest) => {
    const [count = 0, millis = 0] = rest.split(/\s+/).map(Number)
    const chunks = Array.from({ length: count }, (_, index) => textOf(`${index + 1} `))
    return saying(`/chunks ${rest}`, history, `${count} chunks`, chunks, { pace: Duration.millis(millis) })
  },
  "/wait": ({ history }) => saying("/wait", history, "", [textOf("Waiting.")], { delay: Duration.infinity }),
  "/write": ({ history }, rest) => {
    const [, name = "", content = ""] = /^(\S+)\s*([^]*)$/.exec(rest) ?? []
    const text = `I wrote ${name}.`
    return saying(`/write ${rest}`, history, text, [textOf(text)], { writes: { [name]: content } })
  },
  "/fail": (_, rest) => ForgeTest.runFailed(rest),
  "/exit": (_, rest) =>
    ForgeTest.runFailed(`exited with code ${rest}`, {
      stderr: `demo agent: exiting with ${rest}, as the prompt asks\n`,
      events: [textOf("Leaving.")]
    })
}

export const script: ForgeTest.Script = (prompt, context) => {
  const [, name = "", rest = ""] = /^(\/[a-z]+)\s*([^]*)$/.exec(prompt) ?? []
  return commands[name]?.(context, rest) ?? converse(prompt, context)
}
