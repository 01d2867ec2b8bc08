/**
 * Refusing bad input before anything is sent.
 */
import { Effect, Result, Schema, SchemaIssue } from "effect"
import { ApiError, Invalid, type Issue, type Status } from "../ForgeError.ts"
import type { CallInfo } from "./Failure.ts"
import type { Operation } from "./Operation.ts"

const issuesOf = SchemaIssue.makeFormatterStandardSchemaV1()

const toKey = (segment: PropertyKey | { readonly key: PropertyKey }): string | number => {
  const key = typeof segment === "object" ? segment.key : segment
  return typeof key === "number" ? key : String(key)
}

/** The issues of a value that is not of its schema: where, and what would be right, never what stood there. */
export const issues = ({ issue }: Schema.SchemaError): ReadonlyArray<Issue> =>
  issuesOf(issue).issues.map(({ message, path }) => ({ path: (path ?? []).map(toKey), message }))

/** The error of an input that is not sent. */
export const refuse = (call: CallInfo, issues: ReadonlyArray<Issue>): ApiError<422> =>
  new ApiError({
    ...call,
    status: 422,
    requestId: undefined,
    retryAfter: undefined,
    outcome: "not-sent",
    reason: new Invalid({ issues }),
    message: issues
      .map(({ message, path }) => (path.length === 0 ? message : `${path.join(".")} ${message}`))
      .join("; ")
      .slice(0, 200)
  })

const callOf = ({ method, name, path }: Operation<Status, unknown>): CallInfo => ({ operation: name, method, path })

/** Encodes an input for the wire, or refuses it. */
export const encoder = <S extends Schema.ConstraintEncoder<unknown>>(schema: S) => {
  const encode = Schema.encodeUnknownResult(schema, { errors: "all" })
  return (operation: Operation<Status, unknown>, input: unknown): Effect.Effect<S["Encoded"], ApiError<422>> => {
    const encoded = encode(input)
    return Result.isSuccess(encoded)
      ? Effect.succeed(encoded.success)
      : Effect.fail(refuse(callOf(operation), issues(encoded.failure)))
  }
}
