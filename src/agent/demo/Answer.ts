/**
 * The demo agent's answers: deterministic, so that tests can check them, and about the earlier turns, so that people can
 * see that it remembers the session.
 */

/** A file that came with the prompt, and how reading it went. */
export interface FileRead {
  readonly name: string
  readonly text: string | undefined
}

/** An image that came in the prompt itself. */
export interface Image {
  readonly type: string
  /** In bytes. */
  readonly size: number
}

/** A quotation at the end of a sentence, with a full stop unless the quoted text ends with a mark of its own. */
const quotedEnd = (text: string): string => {
  const quote = quoted(text)
  return /[.!?…]”$/u.test(quote) ? quote : `${quote}.`
}

/** A long text is shortened to its beginning and end, where people put what matters. */
const quoted = (text: string): string => {
  const line = text.trim().replaceAll(/\s+/g, " ")
  return `“${line.length > 500 ? `${line.slice(0, 250)} … ${line.slice(-250)}` : line}”`
}

const aboutFile = ({ name, text }: FileRead): string => {
  if (text === undefined) return `I could not read ${name}.`
  const lines = text.split("\n").length - (text.endsWith("\n") ? 1 : 0)
  const first = text.split("\n")[0] ?? ""
  return `I read ${name}: ${lines} ${lines === 1 ? "line" : "lines"}. It begins with ${quotedEnd(first)}`
}

const isQuestion = (prompt: string): boolean => prompt.trim().endsWith("?")

/** The phrases that introduce a word: `the word "x"`, `the word is x`, `remember the word x`. */
const wordPatterns = [
  /\bword\b[^"“?]*["“]([^"”]+)["”]/iu,
  /\bword\b[^?]*?\bis:?\s+([\p{L}\p{N}_-]+)/iu,
  /\bremember\s+(?:the|this)\s+word:?\s+([\p{L}\p{N}_-]+)/iu
]

/** The word that a prompt introduces; a question introduces none. */
const wordIn = (prompt: string): string | undefined =>
  isQuestion(prompt)
    ? undefined
    : wordPatterns.map((pattern) => pattern.exec(prompt)?.[1]).find((word) => word !== undefined)

/** What the user says of themselves, as the agent says it of them. */
const turned: Readonly<Record<string, string>> = {
  i: "you",
  "i'd": "you'd",
  "i'll": "you'll",
  "i'm": "you're",
  "i've": "you've",
  "i was": "you were",
  me: "you",
  mine: "yours",
  my: "your",
  myself: "yourself",
  am: "are"
}

/** What the agent is to remember, as it says it. */
const promise = (request: string): string => {
  const word = wordIn(`remember ${request}`)
  if (word !== undefined) return word
  const plain = request.replace(/,?\s+(for me|please)$/iu, "").replaceAll(/\s+/g, " ")
  return plain.replaceAll(/\bi was\b|[\p{L}']+/giu, (word) => turned[word.toLowerCase()] ?? word)
}

/** A request to remember something, at the beginning of a sentence or of a part of one. */
const requestPattern = /(?:^|[.!?:;,]\s|\b(?:and|please|to|you)\s)\s*remember\s+(.+?)[.!]?\s*$/isu

const aboutPrompt = (prompt: string, earlier: ReadonlyArray<string>): string => {
  const request = requestPattern.exec(prompt)?.[1]
  if (request !== undefined && !isQuestion(prompt)) return `I will remember ${promise(request)}.`
  const word = earlier.map(wordIn).findLast((found) => found !== undefined)
  if (word !== undefined && /\bword\b/iu.test(prompt) && wordIn(prompt) === undefined)
    return `You told me the word ${word}.`
  return `You said ${quotedEnd(prompt)}`
}

const aboutEarlier = (earlier: ReadonlyArray<string>): string => {
  if (earlier.length === 0)
    return "I am the demo agent, not a model. This is the first turn of our session: ask me about it in the next one."
  const recent = earlier.slice(-5)
  const quotes = recent.map((prompt, index) => (index === recent.length - 1 ? quotedEnd(prompt) : quoted(prompt)))
  return `Earlier in this session you said ${quotes.join(", then ")}`
}

/** The whole answer to a prompt. */
export const answer = (options: {
  readonly prompt: string
  readonly earlier: ReadonlyArray<string>
  readonly files: ReadonlyArray<FileRead>
  readonly images: ReadonlyArray<Image>
  readonly terse: boolean
}): string =>
  [
    ...options.images.map(({ size, type }) => `I see an image of type ${type} with ${size} bytes.`),
    ...options.files.map(aboutFile),
    aboutPrompt(options.prompt, options.earlier),
    ...(options.terse ? [] : [aboutEarlier(options.earlier)])
  ].join(" ")

/** Splits an answer into the chunks in which it is streamed, a few words each. */
export const pieces = (text: string): ReadonlyArray<string> => text.match(/(?:\S+\s*){1,3}|\s+/gu) ?? []
