/**
 * The issues of a request that does not fit its schema, as the list of a 422. Rejected values are not repeated.
 */
import { Effect, type Schema, SchemaIssue } from "effect"
import { HttpApiMiddleware } from "effect/http-api"
import { Invalid } from "../../api/Errors.ts"
import { Validation } from "../../api/Middlewares.ts"
import { type Issue, missingKey, problemOf } from "../../wire/Failures.ts"

/** The part of a request, as the contract names it. */
const parts = { Params: "path", Headers: "header", Query: "query", Payload: "body" } as const

const format = SchemaIssue.makeFormatterStandardSchemaV1()

const toIssue =
  (part: string) =>
  ({ message, path }: ReturnType<typeof format>["issues"][number]): Issue => {
    const keys = (path ?? []).map((segment) => (typeof segment === "object" ? segment.key : segment))
    return {
      loc: [part, ...keys.map((key) => (typeof key === "number" ? key : String(key)))],
      msg: problemOf(message),
      type: message === missingKey ? "missing" : "value_error"
    }
  }

const toInvalid = (part: string, { issue }: Schema.SchemaError) =>
  new Invalid({ detail: format(issue).issues.map(toIssue(part)) })

/** The refusal of a body that does not fit its schema. */
export const invalidPayload = (error: Schema.SchemaError): Invalid => toInvalid(parts.Payload, error)

export const layer = HttpApiMiddleware.layerSchemaErrorTransform(Validation, (error) => {
  // A response that does not fit its own schema is a fault of the server.
  if (error.kind === "Body" || error.kind === "ResponseHeaders") return Effect.fail(error)
  return toInvalid(parts[error.kind], error.cause)
})
