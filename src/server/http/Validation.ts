/**
 * What is wrong with a request, in the list form of a 422. What was rejected is not repeated.
 */
import { Effect, SchemaIssue } from "effect"
import { HttpApiMiddleware } from "effect/http-api"
import { Invalid } from "../../api/Errors.ts"
import { Validation } from "../../api/Middlewares.ts"
import type { Issue } from "../../wire/Failures.ts"

/** The part of a request that an issue is about, as the contract names it. */
const parts = { Params: "path", Headers: "header", Query: "query", Payload: "body" } as const

const format = SchemaIssue.makeFormatterStandardSchemaV1()

const missing = "Missing key"

const toIssue =
  (part: string) =>
  ({ message, path }: ReturnType<typeof format>["issues"][number]): Issue => {
    const keys = (path ?? []).map((segment) => (typeof segment === "object" ? segment.key : segment))
    return {
      loc: [part, ...keys.map((key) => (typeof key === "number" ? key : String(key)))],
      msg: message,
      type: message === missing ? "missing" : "value_error"
    }
  }

export const layer = HttpApiMiddleware.layerSchemaErrorTransform(Validation, (error) => {
  // An answer that does not fit its own schema is the server's fault.
  if (error.kind === "Body" || error.kind === "ResponseHeaders") return Effect.fail(error)
  return new Invalid({ detail: format(error.cause.issue).issues.map(toIssue(parts[error.kind])) })
})
