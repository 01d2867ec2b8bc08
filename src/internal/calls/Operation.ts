/**
 * An operation of the contract: what all calls of it have in common, and how its response is decoded.
 */
import { Duration, Result, Schema, SchemaIssue } from "effect"
import type { Status } from "../../ForgeError.ts"

export interface Operation<S extends Status, A> {
  /** Its name in spans and errors. */
  readonly name: string
  readonly method: "GET" | "POST" | "PUT" | "DELETE"
  /** Its path, with `{id}` for an id. */
  readonly path: string
  /** The statuses that it can fail with, besides those that every call can. */
  readonly statuses: ReadonlyArray<S>
  readonly decode: (json: unknown) => Result.Result<A, string>
  /** How long the whole exchange may take, unless the call says otherwise. */
  readonly deadline: Duration.Duration
  /** Whether it carries an idempotency key, under which a server that names `idempotency` remembers its answer. */
  readonly keyed?: boolean | undefined
  /** Whether it is sent without the token. */
  readonly anonymous?: boolean | undefined
  /** How its answer is streamed, where a server can. */
  readonly streamed?: Streamed | undefined
}

/** How the frames of an event stream relate to the JSON that a server answers with otherwise. */
export interface Streamed {
  /** The JSON that the last frame stands for, with the events before it. */
  readonly assemble: (last: object, events: ReadonlyArray<unknown>) => unknown
  /** The events in the JSON. */
  readonly eventsOf: (json: unknown) => ReadonlyArray<unknown>
}

/** An operation whose answer can be streamed. */
export interface StreamedOperation<S extends Status, A> extends Operation<S, A> {
  readonly streamed: Streamed
}

/** What an error says about the call that failed. */
export interface CallInfo {
  readonly operation: string
  readonly method: string
  readonly path: string
  /** The name of the file, of an upload. */
  readonly file?: string | undefined
}

/** The info of a call; its path is the operation's own if not given. */
export const callOf = (
  { method, name, path }: Operation<Status, unknown>,
  { file, path: sent = path }: { readonly file?: string | undefined; readonly path?: string | undefined } = {}
): CallInfo => ({
  operation: name,
  method,
  path: sent,
  ...(file === undefined ? {} : { file })
})

const issuesOf = SchemaIssue.makeFormatterStandardSchemaV1()

/** Where a response does not match its schema; never the value found there. */
const mismatch = ({ issue }: Schema.SchemaError): string => {
  const path = issuesOf(issue).issues[0]?.path ?? []
  return path.length === 0
    ? "it has another shape"
    : `${path.map(String).join(".").slice(0, 80).toWellFormed()} is missing or of another kind`
}

/** Decodes a response by a schema. */
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

/** The same for one whose answer can be streamed. */
export const defineStreamed = <const S extends Status, A>(
  operation: StreamedOperation<S, A>
): StreamedOperation<S, A> => operation

/** The deadline of a call that only reads. */
export const callDeadline = Duration.seconds(30)
