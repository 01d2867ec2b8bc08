/**
 * One kind of call: what is the same for each of them, and how its answer is read.
 */
import { Duration, Result, Schema, SchemaIssue } from "effect"
import type { Status } from "../../ForgeError.ts"

/** One kind of call. */
export interface Operation<S extends Status, A> {
  /** As spans and errors name it. */
  readonly name: string
  readonly method: "GET" | "POST" | "DELETE"
  /** Its path, with `{id}` in the place of an id. */
  readonly path: string
  /** The statuses that it can fail with, beside those that any call can. */
  readonly statuses: ReadonlyArray<S>
  readonly decode: (json: unknown) => Result.Result<A, string>
  /** How long the whole exchange may take, unless the call says otherwise. */
  readonly deadline: Duration.Duration
  /** Whether it carries a key of its own, under which a server that names `idempotency` remembers its answer. */
  readonly keyed?: boolean | undefined
  /** Whether it goes without a token. */
  readonly anonymous?: boolean | undefined
}

/** What an error tells of the call that failed. */
export interface CallInfo {
  readonly operation: string
  readonly method: string
  readonly path: string
}

/** That of an operation's call, whose path is the operation's own where none is given. */
export const callOf = ({ method, name, path }: Operation<Status, unknown>, sent = path): CallInfo => ({
  operation: name,
  method,
  path: sent
})

const issuesOf = SchemaIssue.makeFormatterStandardSchemaV1()

/** Where an answer is not of its shape; never what stood there. */
const mismatch = ({ issue }: Schema.SchemaError): string => {
  const path = issuesOf(issue).issues[0]?.path ?? []
  return path.length === 0
    ? "it has another shape"
    : `${path.map(String).join(".").slice(0, 80)} is missing or of another kind`
}

/** Reads an answer by a schema. */
export const decoder = <S extends Schema.ConstraintDecoder<unknown>>(
  schema: S
): ((json: unknown) => Result.Result<S["Type"], string>) => {
  const decode = Schema.decodeUnknownResult(schema)
  return (json) => Result.mapError(decode(json), mismatch)
}

/** A decoder whose value is turned into one of the public types. */
export const decodeTo =
  <A, B>(decode: (json: unknown) => Result.Result<A, string>, to: (value: A) => B) =>
  (json: unknown): Result.Result<B, string> =>
    Result.map(decode(json), to)

/** An operation, with its statuses as it names them. */
export const define = <const S extends Status, A>(operation: Operation<S, A>): Operation<S, A> => operation

/** What a call takes that does nothing but look. */
export const callDeadline = Duration.seconds(30)
