/**
 * How deep a JSON body may be nested.
 */
import { Effect, Layer } from "effect"
import { HttpServerRequest } from "effect/http"
import { isDeeper } from "../../agent/JsonDepth.ts"
import { Invalid, JsonDepth } from "../../api/Api.ts"

const deepest = 64

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
