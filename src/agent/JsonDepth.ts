/**
 * How deep a JSON text is nested.
 *
 * The depth is counted, and cut, in the text itself: a parser takes seconds over a text of nothing but brackets, and so
 * does whatever walks the value that comes out.
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

/** The text, with null in place of whatever is nested deeper; unchanged where nothing is. */
export const cut = (json: string, levels: number): string => {
  const kept: Array<string> = []
  let depth = 0
  let start = 0
  for (let at = 0; at < json.length; at++) {
    const character = json[at]
    if (character === '"') at = endOfString(json, at)
    else if (character === "[" || character === "{") {
      if (depth === levels) kept.push(json.slice(start, at), "null")
      depth++
    } else if (character === "]" || character === "}") {
      depth--
      if (depth === levels) start = at + 1
    }
  }
  return kept.join("") + json.slice(start)
}
