/**
 * A multipart/form-data body (RFC 7578) that is sent while its file is read.
 */
import { Deferred, Effect, Stream } from "effect"
import { HttpBody } from "effect/http"
import type { Source } from "../../Upload.ts"
import { randomHex } from "../Random.ts"

const encoder = new TextEncoder()

/** A name as browsers write it: quotes and line ends percent-encoded, everything else as UTF-8. */
const quoted = (name: string): string =>
  `"${name.replaceAll('"', "%22").replaceAll("\r", "%0D").replaceAll("\n", "%0A")}"`

/** A random boundary of 128 bits, which no file contains. */
export const boundary = (): string => `clawdforge-${randomHex(16)}`

/**
 * A source that can be read as part of a request, and what sends that request: it fails as the source does. The HTTP client
 * would only report the connection that a failed source breaks.
 */
export const observe = Effect.fnUntraced(function* <E, R>(source: Source<E, R>) {
  const context = yield* Effect.context<R>()
  const failed = yield* Deferred.make<never, E>()
  const content = source.content.pipe(
    // Also where the source interrupts itself. When the request lets go of the source, this does not run.
    Stream.tapCause((cause) => Deferred.failCause(failed, cause)),
    Stream.provideContext(context)
  )
  const reading = <A, E2, R2>(sent: Effect.Effect<A, E2, R2>): Effect.Effect<A, E | E2, R2> => {
    // A server may answer to the break before that is seen here.
    const orFailure = Effect.catchCause(sent, (cause) =>
      Effect.flatMap(Deferred.isDone(failed), (isDone): Effect.Effect<never, E | E2> =>
        isDone ? Deferred.await(failed) : Effect.failCause(cause)
      )
    )
    return Effect.raceFirst(orFailure, Deferred.await(failed))
  }
  return { readable: { ...source, content }, reading }
})

/** What surrounds the file: the fields before it, its part's headers, and the closing boundary. */
export interface Options {
  readonly boundary: string
  readonly fields: Readonly<Record<string, string>>
  readonly filePart: string
}

/** The body; it has a length where the size of the file is known. */
export const body = <E>(source: Source<E>, { boundary, fields, filePart }: Options): HttpBody.Stream => {
  const before = Object.entries(fields).map(
    ([name, value]) => `--${boundary}\r\nContent-Disposition: form-data; name=${quoted(name)}\r\n\r\n${value}\r\n`
  )
  const fileHead =
    `--${boundary}\r\nContent-Disposition: form-data; name=${quoted(filePart)}; filename=${quoted(source.name)}\r\n` +
    `Content-Type: ${source.contentType ?? "application/octet-stream"}\r\n\r\n`
  const head = encoder.encode(before.join("") + fileHead)
  const tail = encoder.encode(`\r\n--${boundary}--\r\n`)
  return HttpBody.stream(
    Stream.make(head).pipe(Stream.concat(source.content), Stream.concat(Stream.make(tail))),
    `multipart/form-data; boundary=${boundary}`,
    source.size === undefined ? undefined : head.byteLength + source.size + tail.byteLength
  )
}
