/**
 * What the answer to a prompt says, and whether it is what the demo agent says to that prompt.
 */

/** A turn or a run that came to its end. */
export interface Said {
  readonly stopReason: string
  readonly text: string
}

interface Event {
  readonly type?: string
  readonly content?: string
}

const textOf = (events: ReadonlyArray<Event>): string =>
  events.map(({ content, type }) => (type === "text" ? content : "")).join("")

const framesOf = (stream: string) =>
  [...stream.matchAll(/^event: (\S+)\ndata: (.*)\n\n/gm)].map(([, name, data = ""]) => ({
    name,
    data: JSON.parse(data)
  }))

/** Nothing, where the stream broke off or the turn failed. */
const saidInStream = (stream: string): Said | undefined => {
  const frames = framesOf(stream)
  const done = frames.find(({ name }) => name === "done")
  return done && { stopReason: done.data.stop_reason, text: textOf(frames.map(({ data }) => data)) }
}

/** What is said in the text of a 200, be it of a turn, a stream, or a run. */
export const saidIn = (answer: string): Said | undefined => {
  if (!answer.startsWith("{")) return saidInStream(answer)
  const { events, result, stop_reason: stopReason } = JSON.parse(answer)
  return { stopReason, text: events === undefined ? String(result) : textOf(events) }
}

/** The status that a stream ended with that has failed. */
export const failureIn = (stream: string): number | undefined =>
  framesOf(stream).find(({ name }) => name === "error")?.data.status

const numbersUpTo = (count: number) => Array.from({ length: count }, (_, index) => `${index + 1} `).join("")

/** Whether the agent says this to that prompt: what is no command, it repeats in its answer. */
export const isAnswerTo = (prompt: string, text: string): boolean => {
  const [, command, rest = ""] = /^\/(\S+) (.*)$/.exec(prompt) ?? []
  if (command === "chunks") return text === numbersUpTo(Number.parseInt(rest))
  if (command === "echo") return text === rest
  return text.includes(prompt)
}
