/**
 * `POST /files`.
 */
import { Duration, Effect, Schema, Stream } from "effect"
import type { HttpBody } from "effect/http"
import * as Wire from "../../wire/Files.ts"
import { Seconds } from "../../wire/Ids.ts"
import * as Paths from "../../wire/Paths.ts"
import type { ApiError } from "../../ForgeError.ts"
import type { Source, UploadedFile, UploadOptions } from "../../Upload.ts"
import * as Input from "./Input.ts"
import * as Multipart from "./Multipart.ts"
import { callOf, decodeTo, decoder, define } from "./Operation.ts"

/** A file for an agent to read. */
export const upload = define({
  name: "Forge.upload",
  method: "POST",
  path: Paths.files,
  statuses: [413, 422],
  deadline: Duration.minutes(1),
  decode: decodeTo(decoder(Wire.Uploaded), ({ ok: _ok, ...file }): UploadedFile => file)
})

const encodeHead = Input.encoder(
  Schema.Struct({
    name: Schema.String.check(
      Schema.isPattern(/^(?=.*\S)[^\p{Cc}\p{Cs}\p{Zl}\p{Zp}]+$/u, {
        message: "must not be empty, nor hold control characters"
      })
    ),
    content: Schema.Unknown.check(Schema.makeFilter(Stream.isStream, { message: "must be a Stream" })),
    contentType: Schema.UndefinedOr(Wire.MediaType),
    size: Schema.UndefinedOr(Schema.Int.check(Schema.isGreaterThanOrEqualTo(0, { message: "must not be negative" }))),
    rereadable: Schema.Boolean,
    timeToLive: Schema.optionalKey(Seconds),
    timeout: Schema.optionalKey(Seconds)
  })
)

/** Reads a source and its options once, and refuses what cannot be sent. */
export const prepare = <E, R>(source: Source<E, R>, options: UploadOptions = {}) => {
  let prepared = source
  let deadline: Duration.Duration | undefined
  const encoded = encodeHead(upload, () => {
    const { timeout, timeToLive } = options
    const { content, contentType, name, rereadable, size } = source
    prepared = { content, contentType, name, rereadable, size }
    deadline = timeout === undefined ? undefined : Input.duration(timeout)
    return {
      ...prepared,
      ...(timeToLive === undefined ? {} : { timeToLive: Input.duration(timeToLive) }),
      ...(deadline === undefined ? {} : { timeout: deadline })
    }
  })
  return Effect.map(encoded, ({ timeToLive }) => ({ prepared, deadline, timeToLive }))
}

const wrongSize = (file: string, size: number): ApiError<422> =>
  Input.refuse(callOf(upload, { file }), [{ path: ["size"], message: `is ${size}, but the content has another` }])

const noBytes = (file: string): ApiError<422> =>
  Input.refuse(callOf(upload, { file }), [{ path: ["content"], message: "must be a Stream of Uint8Array" }])

/** Anything but bytes would be sent as text, or dropped. */
const checked = <E, R>(
  content: Stream.Stream<Uint8Array, E, R>,
  file: string
): Stream.Stream<Uint8Array, E | ApiError<422>, R> =>
  Stream.tap(content, (chunk: unknown) => (chunk instanceof Uint8Array ? Effect.void : Effect.fail(noBytes(file))))

/**
 * A source that fails where its content is not bytes, or not of its declared size: the server would wait for the rest, or
 * cut it.
 */
export const measured = <E, R>(source: Source<E, R>): Source<E | ApiError<422>, R> => {
  const content = checked(source.content, source.name)
  const { name, size } = source
  if (size === undefined) return { ...source, content }
  const counted = Stream.suspend(() => {
    let left = size
    const within = Stream.tap(content, ({ byteLength }) => {
      left -= byteLength
      return left < 0 ? Effect.fail(wrongSize(name, size)) : Effect.void
    })
    return Stream.concat(
      within,
      Stream.suspend(() => (left === 0 ? Stream.empty : Stream.fail(wrongSize(name, size))))
    )
  })
  return { ...source, content: counted }
}

/** The body of an upload, which reads its source while it is sent. */
export const body = <E>(source: Source<E>, boundary: string, timeToLive: number | undefined): HttpBody.Stream =>
  Multipart.body(source, {
    boundary,
    fields: timeToLive === undefined ? {} : { [Wire.ttlField]: String(timeToLive) },
    filePart: Wire.filePart
  })
