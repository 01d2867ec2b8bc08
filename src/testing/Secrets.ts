/**
 * What looks like a secret, and what stands for one in a recording.
 */

/**
 * A token begins where no letter or digit is before it: at an escape, as in JSON within a text, its letter is none.
 */
const start = String.raw`(?:(?<![A-Za-z0-9])|(?<=\\[bfnrt])|(?<=\\u[0-9a-fA-F]{4}))`

const pattern = (source: string, flags?: string): RegExp => new RegExp(start + source, flags)

const token = pattern(String.raw`(cf|ff)_(?!recorded-\d{12}(?!\d))[A-Za-z0-9_-]{16,128}`, "g")

/** Replaces the tokens of the contract, each by the same placeholder wherever it stands. */
export const makeRedact = () => {
  const placeholders = new Map<string, string>()
  return (text: string): string =>
    text.replaceAll(token, (found, kind: string) => {
      const known = placeholders.get(found)
      if (known !== undefined) return known
      const placeholder = `${kind}_recorded-${String(placeholders.size + 1).padStart(12, "0")}`
      placeholders.set(found, placeholder)
      return placeholder
    })
}

/** The text with one placeholder for every token of a kind: which of them it is depends on what came before. */
export const withoutTokens = (text: string): string =>
  text.replaceAll(token, "$1_recorded").replaceAll(/(cf|ff)_recorded-\d{12}/g, "$1_recorded")

/** What secrets look like, and what to call them. */
const kinds: ReadonlyArray<readonly [string, RegExp]> = [
  ["a token of a clawdforge server", new RegExp(token, "")],
  ["credentials of HTTP", pattern(String.raw`(Bearer|Basic) [A-Za-z0-9._~+/=-]{8,}`)],
  ["an API key", pattern(String.raw`(sk|pk|rk)[-_][A-Za-z0-9_-]{16,}`)],
  ["a token of GitHub", pattern(String.raw`(gh[pousr]_[A-Za-z0-9]{20,}|github_pat_[A-Za-z0-9_]{20,})`)],
  ["a token of GitLab", pattern(String.raw`gl(pat|rt|dt|cbt|ptt)-[A-Za-z0-9_-]{16,}`)],
  ["a token of npm", pattern(String.raw`npm_[A-Za-z0-9]{30,}`)],
  ["a token of Hugging Face", pattern(String.raw`hf_[A-Za-z0-9]{30,}`)],
  ["a token of Slack", pattern(String.raw`xox[abeoprs]-[A-Za-z0-9-]{10,}`)],
  ["an access key of AWS", pattern(String.raw`(AKIA|ASIA)[A-Z0-9]{16}(?![A-Z0-9])`)],
  ["an API key of Google", pattern(String.raw`AIza[A-Za-z0-9_-]{35}`)],
  ["a JSON Web Token", pattern(String.raw`eyJ[A-Za-z0-9_-]{10,}\.eyJ[A-Za-z0-9_-]{10,}\.`)],
  ["a private key", /-----BEGIN [A-Z ]*PRIVATE KEY-----/]
]

/** What kind of secret some texts have; undefined if none. */
export const kindIn = (texts: ReadonlyArray<string>, known: Iterable<string>): string | undefined => {
  for (const secret of known) {
    if (secret !== "" && texts.some((text) => text.includes(secret))) return "the client's own token"
  }
  return kinds.find(([, pattern]) => texts.some((text) => pattern.test(text)))?.[0]
}
