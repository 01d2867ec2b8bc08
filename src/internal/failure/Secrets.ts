/**
 * Removes strings that must never appear in errors: tokens, prompts, system prompts.
 *
 * A server, or a proxy in front of it, may repeat a request in its failure: verbatim, escaped, cut, or in pieces. So every
 * longer run of characters that a text shares with a secret is removed, not only the secret as a whole.
 */

const mark = "<redacted>"

/** Tokens of other requests, and headers that carry one. */
const tokens = /\b(?:cf|ff)_[\w-]{6,}|\bBearer\s+[^\s"'<>,;]+/gi

/** How much of each end of a long secret is searched for: an echo of it starts at one of its ends. */
const maxEnd = 8192

/** A secret as it is and as JSON writes it. */
const formsOf = (secret: string): ReadonlyArray<string> => {
  const ends = secret.length <= 2 * maxEnd ? [secret] : [secret.slice(0, maxEnd), secret.slice(-maxEnd)]
  return [...new Set(ends.flatMap((text) => [text, JSON.stringify(text).slice(1, -1)]))]
}

/** A shorter secret also occurs inside other words by chance; there it is left alone. */
const minLength = 8

/** How long a shared run must be to be no coincidence: long texts share more of them with any text. */
const significantRun = (secret: string): number =>
  Math.min(secret.length, Math.max(minLength, Math.ceil(secret.length / 4)), 16)

const repeats = (text: string, secret: string): boolean => {
  const length = significantRun(secret)
  for (let at = 0; at + length <= text.length; at++) {
    if (secret.includes(text.slice(at, at + length))) return true
  }
  return false
}

const isWordAt = (text: string, at: number, length: number): boolean =>
  !/[\p{L}\p{N}]$/u.test(text.slice(0, at)) && !/^[\p{L}\p{N}]/u.test(text.slice(at + length))

/** How many characters of a secret a text repeats from `at` on; 0 where that may be coincidence. */
const runAt = (text: string, at: number, secret: string): number => {
  const least = Math.min(secret.length, minLength)
  const start = at + least > text.length ? -1 : secret.indexOf(text.slice(at, at + least))
  if (start === -1) return 0
  let length = least
  while (at + length < text.length && text[at + length] === secret[start + length]) length++
  return secret.length < minLength && !isWordAt(text, at, length) ? 0 : length
}

/** A text without the parts that it shares with secrets, and without anything that looks like a token. */
export const scrub = (text: string, secrets: ReadonlyArray<string>): string => {
  const forms = secrets.filter((secret) => secret !== "").flatMap(formsOf)
  // A text that repeats one piece of a secret may hold further ones, cut shorter by escapes in between.
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
