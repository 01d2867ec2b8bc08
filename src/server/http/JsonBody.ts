/**
 * What a JSON body may be before it is parsed: UTF-8, and not nested too deep.
 *
 * A parser replaces what is not UTF-8, and the agent would get a different prompt from the one that was sent. A byte
 * order mark in front is skipped, as RFC 8259 (section 8.1) allows.
 */
import { Effect, Fiber, Layer } from "effect"
import { HttpServerRequest } from "effect/http"
import * as JsonDepth from "../../agent/acp/JsonDepth.ts"
import { Invalid, bodyIssue } from "../../api/Errors.ts"
import { JsonBody } from "../../api/Middlewares.ts"
import { Shutdown } from "../Shutdown.ts"

const deepest = 64

const invalid = (msg: string) => new Invalid({ detail: [bodyIssue([], msg)] })
const tooDeep = invalid(`must not be nested deeper than ${deepest}`)
const notUtf8 = invalid("must be UTF-8")

const utf8 = new TextDecoder("utf-8", { fatal: true })

export const layer = Layer.effect(
  JsonBody,
  Effect.gen(function* () {
    const { refusal } = yield* Shutdown
    const scope = yield* Effect.scope
    return Effect.fnUntraced(function* (httpEffect) {
      const { arrayBuffer } = yield* HttpServerRequest.HttpServerRequest
      // Where the body cannot be read, whoever reads it next says why.
      const read = Effect.orElseSucceed(arrayBuffer, () => new ArrayBuffer())
      // It ends with its connection. Interrupting it would close that, and the refusal would not be sent.
      const reading = yield* Effect.forkIn(read, scope, { startImmediately: true })
      const bytes = yield* Effect.raceFirst(Fiber.join(reading), refusal)
      const json = yield* Effect.try({ try: () => utf8.decode(bytes), catch: () => notUtf8 })
      if (JsonDepth.isDeeper(json, deepest)) return yield* tooDeep
      return yield* httpEffect
    })
  })
)
