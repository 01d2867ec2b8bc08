/**
 * Taking out of a server's words what the request kept secret.
 *
 * A server, or a proxy before it, may repeat a request in what it says of a failure: as it came, escaped, cut, or in
 * pieces. So it is not only a secret as a whole that is taken out, but every longer run of characters that a text has in
 * common with one.
 */

const mark = "<redacted>"

/** Tokens that this request did not know of, and headers that name one. */
const tokens = /\b(?:cf|ff)_[\w-]{6,}|\bBearer\s+[^\s"'<>,;]+/gi

/** As much of each end of a secret as is looked for: what repeats a long one repeats it from an end. */
const end = 8192

/** A secret as it is and as JSON writes it. */
const formsOf = (secret: string): ReadonlyArray<string> => {
  const ends = secret.length <= 2 * end ? [secret] : [secret.slice(0, end), secret.slice(-end)]
  return [...new Set(ends.flatMap((text) => [text, JSON.stringify(text).slice(1, -1)]))]
}

/** What is shorter than this also stands inside of other words, by chance: there it is left. */
const shortest = 8

/** How long a run has to be to be no chance: a long text has more of them in common with any other. */
const tellingRun = (secret: string): number =>
  Math.min(secret.length, Math.max(shortest, Math.ceil(secret.length / 4)), 16)

const repeats = (text: string, secret: string): boolean => {
  const telling = tellingRun(secret)
  for (let at = 0; at + telling <= text.length; at++) {
    if (secret.includes(text.slice(at, at + telling))) return true
  }
  return false
}

const isWordAt = (text: string, at: number, length: number): boolean =>
  !/[\p{L}\p{N}]$/u.test(text.slice(0, at)) && !/^[\p{L}\p{N}]/u.test(text.slice(at + length))

/** How much of a secret a text repeats from one place on, 0 where that may be chance. */
const runAt = (text: string, at: number, secret: string): number => {
  const least = Math.min(secret.length, shortest)
  const start = at + least > text.length ? -1 : secret.indexOf(text.slice(at, at + least))
  if (start === -1) return 0
  let length = least
  while (at + length < text.length && text[at + length] === secret[start + length]) length++
  return secret.length < shortest && !isWordAt(text, at, length) ? 0 : length
}

/** A text without what it repeats of secrets, and without anything that looks like a token. */
export const scrub = (text: string, secrets: ReadonlyArray<string>): string => {
  const forms = secrets.filter((secret) => secret !== "").flatMap(formsOf)
  // A text that repeats one piece of a secret may repeat others, cut shorter by what was escaped between.
  const repeated = forms.filter((form) => repeats(text, form))
  if (repeated.length === 0) return text.replace(tokens, mark)
  let clean = ""
  let at = 0
  while (at < text.length) {
    const run = Math.max(...repeated.map((form) => runAt(text, at, form)))
    if (run === 0) clean += text[at++]
    else {
      if (!clean.endsWith(mark)) clean += mark
      at += run
    }
  }
  return clean.replace(tokens, mark)
}
