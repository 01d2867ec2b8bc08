/**
 * Refuses invalid input before anything is sent.
 */
import { Duration, Effect, Option, Predicate, Redacted, Result, Schema, SchemaIssue } from "effect"
import { ApiError, Invalid, type Issue, type Status } from "../../ForgeError.ts"
import * as WellFormed from "../../wire/WellFormed.ts"
import { problemOf } from "../../wire/Failures.ts"
import { type CallInfo, callOf, type Operation } from "./Operation.ts"

const issuesOf = SchemaIssue.makeFormatterStandardSchemaV1()

const toKey = (segment: PropertyKey | { readonly key: PropertyKey }): string | number => {
  const key = typeof segment === "object" ? segment.key : segment
  return typeof key === "number" ? key : String(key)
}

/** The issues of a value that does not match its schema: where, and what it must be, never the value itself. */
const issues = ({ issue }: Schema.SchemaError): ReadonlyArray<Issue> =>
  issuesOf(issue).issues.map(({ message, path }) => ({
    path: (path ?? []).map(toKey),
    message: problemOf(message)
  }))

/** The error of input that is not sent. */
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
      .toWellFormed()
  })

/** The issue of input that fails while it is read: null instead of options, a getter that throws, … */
const unreadable: ReadonlyArray<Issue> = [{ path: [], message: "the input cannot be read: it must be plain data" }]

/** Encodes input for the wire, as well-formed Unicode, or refuses it. The input is built by a function, because building it may fail as well. */
export const encoder = <S extends Schema.ConstraintEncoder<unknown>>(schema: S) => {
  const encode = Schema.encodeUnknownResult(schema, { errors: "all" })
  return (operation: Operation<Status, unknown>, input: () => unknown): Effect.Effect<S["Encoded"], ApiError<422>> => {
    const encoded = Result.try({ try: () => encode(input()), catch: () => unreadable }).pipe(
      Result.flatMap(Result.mapError(issues))
    )
    return Result.isSuccess(encoded)
      ? Effect.succeed(WellFormed.data(encoded.success))
      : Effect.fail(refuse(callOf(operation), encoded.failure))
  }
}

/** `Duration` reads anything but a number, in an array or an object, as 0. */
const hasNumbers = (input: Duration.Input): boolean =>
  !Predicate.isObjectOrArray(input) ||
  Duration.isDuration(input) ||
  (Object.keys(input).length > 0 && Object.values(input).every(Number.isFinite))

/** A duration; one that cannot be waited for (not a duration, not a number, negative) becomes infinite, which is refused. */
export const duration = (input: Duration.Input): Duration.Duration => {
  if (Number.isNaN(input) || !hasNumbers(input)) return Duration.infinity
  const duration = Option.getOrElse(Duration.fromInput(input), () => Duration.infinity)
  return Duration.isNegative(duration) ? Duration.infinity : duration
}

/** The text of a token; empty where it is not redacted. */
export const tokenText = (token: Redacted.Redacted): string => (Redacted.isRedacted(token) ? Redacted.value(token) : "")
