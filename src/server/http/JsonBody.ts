/**
 * What a JSON body may be before it is parsed: UTF-8, and not nested too deep.
 *
 * A parser replaces what is not UTF-8, and the agent would get a different prompt from the one that was sent. A byte
 * order mark in front is skipped, as RFC 8259 (section 8.1) allows.
 */
import { Effect, Layer } from "effect"
import { HttpServerRequest } from "effect/http"
import { isDeeper } from "../../agent/JsonDepth.ts"
import { Invalid, JsonBody } from "../../api/Api.ts"
import * as Validation from "./Validation.ts"

const deepest = 64

const refusal = (msg: string) => new Invalid({ detail: [Validation.bodyIssue([], msg)] })
const tooDeep = refusal(`must not be nested deeper than ${deepest}`)
const notUtf8 = refusal("must be UTF-8")

const utf8 = new TextDecoder("utf-8", { fatal: true })

export const layer = Layer.succeed(
  JsonBody,
  Effect.fnUntraced(function* (httpEffect) {
    const { arrayBuffer } = yield* HttpServerRequest.HttpServerRequest
    // Where the body cannot be read, whoever reads it next says why.
    const bytes = yield* Effect.orElseSucceed(arrayBuffer, () => new ArrayBuffer())
    const json = yield* Effect.try({ try: () => utf8.decode(bytes), catch: () => notUtf8 })
    if (isDeeper(json, deepest)) return yield* tooDeep
    return yield* httpEffect
  })
)
