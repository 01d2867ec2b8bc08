/**
 * Answers as data: what the agent is asked for, and how its answer is found and decoded.
 */
import { Array, Effect, Option, Result, Schema } from "effect"

/** How many characters are read in search of JSON, those that are read again counted again. */
const maxRead = 10_000_000

const parse = Schema.decodeUnknownOption(Schema.fromJsonString(Schema.Unknown))

/** A prompt with what its answer has to look like. */
export const instruct = (prompt: string, schema: Schema.Constraint): string => {
  const { definitions, schema: root } = Schema.toJsonSchemaDocument(schema)
  const whole = Object.keys(definitions).length === 0 ? root : { ...root, $defs: definitions }
  return `${prompt}

Answer with a single JSON value in a fenced code block and nothing after it. It has to match this JSON Schema:

\`\`\`json
${JSON.stringify(whole)}
\`\`\``
}

/** What an agent is asked when its answer did not match. */
export const repair = (error: string): string =>
  `Your answer does not match the JSON Schema: ${error}

Answer again with the whole JSON value, corrected, in a fenced code block and nothing after it.`

/** Where the object or array that begins at a position ends; undefined where it does not. */
const endOf = (text: string, start: number): number | undefined => {
  let depth = 0
  let isText = false
  for (let at = start; at < text.length; at++) {
    const char = text[at]
    if (isText) {
      if (char === "\\") at++
      else if (char === '"') isText = false
    } else if (char === '"') isText = true
    else if (char === "{" || char === "[") depth++
    else if ((char === "}" || char === "]") && --depth === 0) return at + 1
  }
  return undefined
}

/** The objects and arrays that stand in a text, without those inside of others. */
const bare = (text: string): ReadonlyArray<unknown> => {
  const found: Array<unknown> = []
  let left = maxRead
  for (let at = 0; at < text.length && left > 0; at++) {
    if (text[at] !== "{" && text[at] !== "[") continue
    const end = endOf(text, at)
    left -= (end ?? text.length) - at
    const value = end === undefined ? Option.none() : parse(text.slice(at, end))
    if (end === undefined || Option.isNone(value)) continue
    found.push(value.value)
    at = end - 1
  }
  return found
}

/** The JSON values in an answer, the likeliest first: the whole of it, fenced ones, then bare ones, the last first. */
const valuesIn = (answer: string): ReadonlyArray<unknown> => {
  const fenced = [...answer.matchAll(/```[^\n`]*\n([^]*?)```/g)].map(([, inside = ""]) => inside)
  const parsed = [answer, ...fenced.toReversed()].flatMap((text) => Option.toArray(parse(text)))
  return [...parsed, ...bare(answer).toReversed()]
}

/** Decodes the last value in an answer that fits, or says why none does. */
export const decoder = <S extends Schema.Constraint>(schema: S) => {
  const decode = Schema.decodeUnknownEffect(Schema.toCodecJson(schema), { errors: "all" })
  return Effect.fnUntraced(function* (
    answer: string
  ): Effect.fn.Return<Result.Result<S["Type"], string>, never, S["DecodingServices"]> {
    const errors: Array<string> = []
    for (const value of valuesIn(answer)) {
      const decoded = yield* Effect.result(decode(value))
      if (Result.isSuccess(decoded)) return Result.succeed(decoded.success)
      errors.push(decoded.failure.message)
    }
    return Result.fail(Option.getOrElse(Array.head(errors), () => "there is no JSON in it"))
  })
}
