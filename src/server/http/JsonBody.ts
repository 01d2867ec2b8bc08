/**
 * JSON bodies: read and checked as text, then parsed once and decoded.
 *
 * A body must be UTF-8, since a parser would replace what is not, and the agent would get a prompt that was never sent.
 * A byte order mark in front is skipped, as RFC 8259 (section 8.1) allows.
 */
import { Effect, Fiber, Layer, Option, Schema } from "effect"
import { HttpServerRequest } from "effect/http"
import * as JsonDepth from "../../agent/acp/JsonDepth.ts"
import { Invalid, bodyIssue } from "../../api/Errors.ts"
import { BodyText, JsonBody } from "../../api/Middlewares.ts"
import { Shutdown } from "../Shutdown.ts"
import * as WellFormed from "../../wire/WellFormed.ts"
import * as Validation from "./Validation.ts"

const maxDepth = 64

const invalid = (msg: string) => new Invalid({ detail: [bodyIssue([], msg)] })
const tooDeep = invalid(`must not be nested deeper than ${maxDepth}`)
const notUtf8 = invalid("must be UTF-8")
const notDeclared = invalid("must be JSON, and sent with the header Content-Type: application/json")
const notJson = invalid("must be a valid JSON body")

const utf8 = new TextDecoder("utf-8", { fatal: true })

export const layer = Layer.effect(
  JsonBody,
  Effect.gen(function* () {
    const { refusal } = yield* Shutdown
    const scope = yield* Effect.scope
    return Effect.fnUntraced(function* (httpEffect) {
      const { arrayBuffer } = yield* HttpServerRequest.HttpServerRequest
      // A failed read is a defect, and `Refusals` has its answer.
      const read = Effect.orDie(arrayBuffer)
      // Forked, since interrupting the read would close the connection before the refusal is sent.
      const reading = yield* Effect.forkIn(read, scope, { startImmediately: true })
      const bytes = yield* Effect.raceFirst(Fiber.join(reading), refusal)
      const text = yield* Effect.try({ try: () => utf8.decode(bytes), catch: () => notUtf8 })
      if (JsonDepth.isDeeper(text, maxDepth)) return yield* tooDeep
      return yield* Effect.provideService(httpEffect, BodyText, text)
    })
  })
)

/** A body, as it was sent and as the endpoint sees it. */
export interface Parsed<A> {
  readonly json: Schema.Json
  readonly payload: A
}

const isDeclared = ({ headers }: HttpServerRequest.HttpServerRequest) => {
  const [type = ""] = (headers["content-type"] ?? "application/json").split(";", 1)
  return type.trim().toLowerCase() === "application/json"
}

/** Half a character becomes U+FFFD, before the hash of a keyed call too: an agent could not be given it. */
const parse = Option.liftThrowable((text: string): Schema.Json =>
  WellFormed.mayHaveHalves(text) ? JSON.parse(text, WellFormed.reviver) : JSON.parse(text)
)

/** Parses the body of a request, and decodes it by the schema of its endpoint. */
export const reader = <S extends Schema.ConstraintDecoder<unknown>>(schema: S) => {
  const decode = Schema.decodeUnknownEffect(schema, { errors: "all" })
  return Effect.fnUntraced(function* (
    request: HttpServerRequest.HttpServerRequest
  ): Effect.fn.Return<Parsed<S["Type"]>, Invalid, BodyText> {
    if (!isDeclared(request)) return yield* notDeclared
    const text = yield* BodyText
    const parsed = text === "" ? Option.some(undefined) : parse(text)
    if (Option.isNone(parsed)) return yield* notJson
    const payload = yield* Effect.mapError(decode(parsed.value), Validation.invalidPayload)
    return { json: parsed.value ?? null, payload }
  })
}
