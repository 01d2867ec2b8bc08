/**
 * Reads the responses to prompts, and checks that they are the demo agent's answers.
 */

/** The result of a turn or a run that completed. */
export interface Completed {
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

/** Undefined if the stream broke off or the turn failed. */
const completedInStream = (stream: string): Completed | undefined => {
  const frames = framesOf(stream)
  const done = frames.find(({ name }) => name === "done")
  return done && { stopReason: done.data.stop_reason, text: textOf(frames.map(({ data }) => data)) }
}

/** Reads the body of a 200, of a turn, a stream or a run. */
export const completedIn = (answer: string): Completed | undefined => {
  if (!answer.startsWith("{")) return completedInStream(answer)
  const { events, result, stop_reason: stopReason } = JSON.parse(answer)
  return { stopReason, text: events === undefined ? String(result) : textOf(events) }
}

/** The status of the error that a stream ended with, if any. */
export const failureIn = (stream: string): number | undefined =>
  framesOf(stream).find(({ name }) => name === "error")?.data.status

const numbersUpTo = (count: number) => Array.from({ length: count }, (_, index) => `${index + 1} `).join("")

/** Whether this is the agent's answer to the prompt: it repeats every prompt that is not a command. */
export const isAnswerTo = (prompt: string, text: string): boolean => {
  const [, command, rest = ""] = /^\/(\S+) (.*)$/.exec(prompt) ?? []
  if (command === "chunks") return text === numbersUpTo(Number.parseInt(rest))
  if (command === "echo") return text === rest
  return text.includes(prompt)
}
