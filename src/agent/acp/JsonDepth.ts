/**
 * Limits the nesting of a JSON text, and counts its values, without parsing it: a parser takes seconds over a text of
 * nothing but brackets, and so does any code that walks the result.
 */

const isEscaped = (json: string, quote: number) => {
  let at = quote
  while (json[at - 1] === "\\") at--
  return (quote - at) % 2 === 1
}

const endOfString = (json: string, start: number) => {
  let end = json.indexOf('"', start + 1)
  while (end !== -1 && isEscaped(json, end)) end = json.indexOf('"', end + 1)
  return end === -1 ? json.length : end
}

/** Whether a JSON text is nested deeper than `maxDepth`. */
export const isDeeper = (json: string, maxDepth: number): boolean => {
  let depth = 0
  for (let at = 0; at < json.length; at++) {
    const character = json[at]
    if (character === '"') at = endOfString(json, at)
    else if (character === "[" || character === "{") depth++
    else if (character === "]" || character === "}") depth--
    if (depth > maxDepth) return true
  }
  return false
}

/** The result of `cut`. */
export interface Cut {
  /** The text, with `null` for every value that was nested too deep. */
  readonly json: string
  /** An upper bound on the number of nested values in `json`: its opening brackets and commas. */
  readonly values: number
}

/** Replaces every value nested deeper than `maxDepth` by `null`. */
export const cut = (json: string, maxDepth: number): Cut => {
  const kept: Array<string> = []
  let values = 0
  let depth = 0
  let start = 0
  for (let at = 0; at < json.length; at++) {
    const character = json[at]
    if (character === '"') at = endOfString(json, at)
    else if (character === ",") values += depth <= maxDepth ? 1 : 0
    else if (character === "[" || character === "{") {
      if (depth === maxDepth) kept.push(json.slice(start, at), "null")
      else if (depth < maxDepth) values++
      depth++
    } else if (character === "]" || character === "}") {
      depth--
      if (depth === maxDepth) start = at + 1
    }
  }
  return { json: kept.join("") + json.slice(start), values }
}
