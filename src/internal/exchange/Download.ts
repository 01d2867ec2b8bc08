/**
 * A body that is read as it arrives, over as many connections as that takes.
 *
 * A connection that breaks is opened again at the byte where it broke, of the same file: nothing is lost, and nothing is
 * given twice.
 */
import { Effect, type Scope, Stream } from "effect"
import type { ApiError, AuthError, SessionClosed, TransportError } from "../../ForgeError.ts"
import type { CallInfo } from "../calls/Operation.ts"
import * as TransportFailure from "../failure/TransportFailure.ts"
import type { OpenResponse } from "./OpenResponse.ts"

type Failure = AuthError | ApiError | TransportError | SessionClosed

/** From which byte to which, and of which file. */
export interface Part {
  readonly offset: number
  readonly length: number | undefined
  readonly etag: string | undefined
}

/** A response whose body is to be read. */
export type Opened = Omit<OpenResponse, "onFailure">

export interface Options<E> {
  /** Opens a response with the part, and retries that. */
  readonly open: (headers: Readonly<Record<string, string>>) => Effect.Effect<Opened, E, Scope.Scope>
  /** How often a broken connection is opened again without a byte in between. */
  readonly times: number
}

const headersOf = ({ etag, length, offset }: Part): Readonly<Record<string, string>> => ({
  accept: "application/octet-stream",
  ...(offset === 0 && length === undefined
    ? {}
    : { range: `bytes=${offset}-${length === undefined ? "" : offset + length - 1}` }),
  ...(etag === undefined ? {} : { "if-match": `"${etag}"` })
})

const isBroken = (error: Failure): boolean => error._tag === "TransportError" && error.reason._tag === "Reset"

/** A server that ignores the range would give the bytes before it too. */
const notAPart = (call: CallInfo, { origin, requestId, response }: Opened) =>
  TransportFailure.malformed(
    call,
    { status: response.status, origin, requestId },
    "it is the whole file, where a part of it was asked for"
  )

/** How many bytes a response has; a compressed one does not say. */
const lengthOf = ({ response: { headers } }: Opened): number | undefined =>
  headers["content-length"] === undefined || headers["content-encoding"] !== undefined
    ? undefined
    : Number(headers["content-length"])

export const make = <E extends Failure>(
  part: Part,
  { open, times }: Options<E>
): Stream.Stream<Uint8Array, E | TransportError> => {
  const from = (part: Part, left: number): Stream.Stream<Uint8Array, E | TransportError> => {
    if (part.length === 0) return Stream.empty
    let read = 0
    return Stream.unwrap(
      Effect.map(open(headersOf(part)), (opened): Stream.Stream<Uint8Array, E | TransportError> => {
        const { onBroken, response } = opened
        if (response.status !== 206 && headersOf(part)["range"] !== undefined) {
          return Stream.fail(notAPart(opened.call, opened))
        }
        const length = lengthOf(opened) ?? part.length
        const etag = /^"(.*)"$/.exec(response.headers["etag"] ?? "")?.[1] ?? part.etag
        return response.stream.pipe(
          Stream.mapError(onBroken),
          Stream.tap((chunk) =>
            Effect.sync(() => {
              read += chunk.byteLength
            })
          ),
          Stream.catchIf(
            (error) => isBroken(error) && etag !== undefined && (left > 0 || read > 0),
            () =>
              from(
                { offset: part.offset + read, length: length === undefined ? undefined : length - read, etag },
                read > 0 ? times : left - 1
              )
          )
        )
      })
    )
  }
  return Stream.suspend(() => from(part, times))
}
