/**
 * How deep a JSON body may be nested.
 *
 * It is counted on the text, since a parser needs seconds for a body of nothing but brackets, and so does whatever looks
 * at what comes out.
 */
import { Effect, Layer } from "effect"
import { HttpServerRequest } from "effect/http"
import { Invalid, JsonDepth } from "../api/Api.ts"

const deepest = 64

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

/** Whether a text opens more brackets within each other than that, outside of its strings. */
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

const tooDeep = new Invalid({
  detail: [{ loc: ["body"], msg: `must not be nested deeper than ${deepest}`, type: "value_error" }]
})

export const layer = Layer.succeed(
  JsonDepth,
  Effect.fnUntraced(function* (httpEffect) {
    const { text } = yield* HttpServerRequest.HttpServerRequest
    // Where the body cannot be read, whoever reads it next says why.
    const json = yield* Effect.orElseSucceed(text, () => "")
    if (isDeeper(json, deepest)) return yield* tooDeep
    return yield* httpEffect
  })
)
