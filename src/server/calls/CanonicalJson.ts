/**
 * The canonical form of JSON: no white space, members sorted by the UTF-16 code units of their names, numbers and strings
 * as ECMAScript writes them (RFC 8785). Equal JSON has equal text.
 */
import type { Schema } from "effect"

const isArray = (json: Schema.Json): json is ReadonlyArray<Schema.Json> => Array.isArray(json)

/** The canonical form of parsed JSON. */
export const from = (json: Schema.Json): string => {
  if (typeof json !== "object" || json === null) return JSON.stringify(json)
  if (isArray(json)) return `[${json.map(from).join(",")}]`
  const members = Object.entries(json).toSorted(([a], [b]) => (a < b ? -1 : 1))
  return `{${members.map(([name, value]) => `${JSON.stringify(name)}:${from(value)}`).join(",")}}`
}
