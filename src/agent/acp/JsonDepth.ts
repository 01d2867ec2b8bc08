/**
 * How deep a JSON text is nested, and how many values it has.
 *
 * Both are counted, and the depth is cut, in the text itself: a parser takes seconds over a text of nothing but
 * brackets, and so does whatever walks the value that comes out.
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

/** Whether brackets are nested deeper than this, not counting those in strings. */
export const isDeeper = (json: string, levels: number): boolean => {
  let depth = 0
  for (let at = 0; at < json.length; at++) {
    const character = json[at]
    if (character === '"') at = endOfString(json, at)
    else if (character === "[" || character === "{") depth++
    else if (character === "]" || character === "}") depth--
    if (depth > levels) return true
  }
  return false
}

/** A text that is nested no deeper than was asked for. */
export interface Cut {
  /** With null in place of whatever was nested deeper; unchanged where nothing was. */
  readonly json: string
  /** No fewer than there are in it: its opening brackets and commas are counted. */
  readonly values: number
}

export const cut = (json: string, levels: number): Cut => {
  const kept: Array<string> = []
  let values = 0
  let depth = 0
  let start = 0
  for (let at = 0; at < json.length; at++) {
    const character = json[at]
    if (character === '"') at = endOfString(json, at)
    else if (character === ",") values += depth <= levels ? 1 : 0
    else if (character === "[" || character === "{") {
      if (depth === levels) kept.push(json.slice(start, at), "null")
      else if (depth < levels) values++
      depth++
    } else if (character === "]" || character === "}") {
      depth--
      if (depth === levels) start = at + 1
    }
  }
  return { json: kept.join("") + json.slice(start), values }
}
