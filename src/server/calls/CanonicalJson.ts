/**
 * JSON in its one canonical form: no white space, members sorted by their names' UTF-16 code units, numbers and strings
 * as ECMAScript writes them (RFC 8785). Two texts of the same JSON have the same one.
 */
import { Effect, Schema } from "effect"

const write = (json: Schema.Json): string => {
  if (typeof json !== "object" || json === null) return JSON.stringify(json)
  if (isArray(json)) return `[${json.map(write).join(",")}]`
  const members = Object.entries(json).toSorted(([a], [b]) => (a < b ? -1 : 1))
  return `{${members.map(([name, value]) => `${JSON.stringify(name)}:${write(value)}`).join(",")}}`
}

const isArray = (json: Schema.Json): json is ReadonlyArray<Schema.Json> => Array.isArray(json)

const parse = Schema.decodeEffect(Schema.fromJsonString(Schema.Json))

/** The canonical form of a JSON text. */
export const from = (text: string) => Effect.map(parse(text), write)
