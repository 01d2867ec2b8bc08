/**
 * Refusing bad input before anything is sent.
 */
import { Duration, Effect, Option, Predicate, Redacted, Result, Schema, SchemaIssue } from "effect"
import { ApiError, Invalid, type Issue, type Status } from "../../ForgeError.ts"
import { type CallInfo, callOf, type Operation } from "./Operation.ts"

const issuesOf = SchemaIssue.makeFormatterStandardSchemaV1({
  leafHook: (issue) => SchemaIssue.defaultLeafHook(issue).replace(/^Expected /, "must be ")
})

const toKey = (segment: PropertyKey | { readonly key: PropertyKey }): string | number => {
  const key = typeof segment === "object" ? segment.key : segment
  return typeof key === "number" ? key : String(key)
}

/** The issues of a value that is not of its schema: where, and what would be right, never what stood there. */
const issues = ({ issue }: Schema.SchemaError): ReadonlyArray<Issue> =>
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

/** What is said of an input that fails while it is looked at: null in the place of options, a getter that throws, … */
const unreadable: ReadonlyArray<Issue> = [{ path: [], message: "the input cannot be read: it must be plain data" }]

/** Encodes an input for the wire, or refuses it. The input is built inside, because building it may fail as well. */
export const encoder = <S extends Schema.ConstraintEncoder<unknown>>(schema: S) => {
  const encode = Schema.encodeUnknownResult(schema, { errors: "all" })
  return (operation: Operation<Status, unknown>, input: () => unknown): Effect.Effect<S["Encoded"], ApiError<422>> => {
    const encoded = Result.try({ try: () => encode(input()), catch: () => unreadable }).pipe(
      Result.flatMap(Result.mapError(issues))
    )
    return Result.isSuccess(encoded)
      ? Effect.succeed(encoded.success)
      : Effect.fail(refuse(callOf(operation), encoded.failure))
  }
}

/** `Duration` takes what is no number, in an array or an object, for 0. */
const hasNumbers = (input: Duration.Input): boolean =>
  !Predicate.isObjectOrArray(input) ||
  Duration.isDuration(input) ||
  (Object.keys(input).length > 0 && Object.values(input).every(Number.isFinite))

/** A span of time; one that cannot be waited for (no duration at all, no number, negative) is endless, which is refused. */
export const duration = (input: Duration.Input): Duration.Duration => {
  if (Number.isNaN(input) || !hasNumbers(input)) return Duration.infinity
  const duration = Option.getOrElse(Duration.fromInput(input), () => Duration.infinity)
  return Duration.isNegative(duration) ? Duration.infinity : duration
}

/** The text of a token; one that is not redacted is none. */
export const tokenText = (token: Redacted.Redacted): string => (Redacted.isRedacted(token) ? Redacted.value(token) : "")
