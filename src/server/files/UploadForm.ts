/**
 * The form of an upload, read as it arrives (multipart/form-data, RFC 7578): one file, and fields in any order.
 *
 * Everything in it is bounded. The parser limits the headers of a part to 16 KiB and a hundred headers.
 */
import { ByteSize, type Duration, Effect, Option, Schema, Stream } from "effect"
import { type HttpServerRequest, Multipart } from "effect/http"
import { Invalid, TooLarge, bodyIssue } from "../../api/Errors.ts"
import * as Wire from "../../wire/Files.ts"

/** The form without the content of its file. */
export interface UploadForm {
  /** As the client gave it. */
  readonly name: string
  /** The content type of the file's part. */
  readonly contentType: string
  readonly size: number
  readonly timeToLive: Duration.Duration | undefined
}

export interface Options<E> {
  /** The largest size of the file. */
  readonly maxSize: ByteSize.ByteSize
  /** Consumes the content, chunk by chunk. */
  readonly write: (content: Uint8Array) => Effect.Effect<void, E>
}

const maxParts = 8
const maxFieldSize = ByteSize.kibibytes(16)

/** The largest size of a form without its file. */
export const maxOverhead = ByteSize.kibibytes(512)

const mediaType = /^multipart\/form-data\s*(;|$)/i

const unreadable = new Invalid({ detail: [bodyIssue([], "must be multipart/form-data, and whole")] })
const tooManyParts = new Invalid({ detail: [bodyIssue([], `must not have more than ${maxParts} parts`)] })
const missing = new Invalid({
  detail: [{ loc: ["body", Wire.filePart], msg: `must have a file in a part named ${Wire.filePart}`, type: "missing" }]
})
const misnamed = Invalid.body(Wire.filePart, "must be the name of the part that holds the file")
const onlyOne = Invalid.body(Wire.filePart, "must be the only file")
const noFile = Invalid.body(Wire.filePart, "must be a file with a name")

/** Maps an error of the parser; a body that ended too early is one. */
const refusal = (error: Multipart.MultipartError): Invalid | TooLarge => {
  switch (error.reason._tag) {
    case "BodyTooLarge":
    case "FieldTooLarge":
    case "FileTooLarge":
      return new TooLarge()
    case "TooManyParts":
      return tooManyParts
    case "InternalError":
    case "Parse":
      return unreadable
  }
}

const decodeTimeToLive = Schema.decodeEffect(Wire.TimeToLive)

/**
 * Reads a form to its end, within its limits.
 *
 * A truncated part ends like a complete one, and only the end of the form shows the difference: what was written is
 * complete once this succeeds, and not before.
 */
export const read = Effect.fnUntraced(function* <E>(
  request: HttpServerRequest.HttpServerRequest,
  { maxSize, write }: Options<E>
): Effect.fn.Return<UploadForm, Invalid | TooLarge | E> {
  if (!mediaType.test(request.headers["content-type"] ?? "")) return yield* unreadable

  let file = Option.none<Pick<UploadForm, "name" | "contentType">>()
  let size = 0
  let timeToLive: Duration.Duration | undefined

  const receive = Effect.fnUntraced(function* (content: Uint8Array) {
    size += content.byteLength
    if (size > maxSize) return yield* new TooLarge()
    yield* write(content)
  })

  const onPart = Effect.fnUntraced(function* (part: Multipart.Part) {
    if (part._tag === "File") {
      if (Option.isSome(file)) return yield* onlyOne
      if (part.key !== Wire.filePart) return yield* misnamed
      if (part.name === "") return yield* noFile
      file = Option.some({ name: part.name, contentType: part.contentType })
      yield* part.content.pipe(
        Stream.catchTag("MultipartError", (error) => Stream.fail(refusal(error))),
        Stream.runForEach(receive)
      )
    } else if (part.key === Wire.filePart) {
      return yield* noFile
    } else if (part.key === Wire.ttlField) {
      timeToLive = yield* Effect.mapError(decodeTimeToLive(part.value), () =>
        Invalid.body(Wire.ttlField, Wire.timeToLiveRule)
      )
    }
  })

  yield* request.stream.pipe(
    Stream.pipeThroughChannel(Multipart.makeChannel(request.headers)),
    Stream.catchTags({
      HttpServerError: () => Stream.fail(unreadable),
      MultipartError: (error) => Stream.fail(refusal(error))
    }),
    Stream.runForEach(onPart),
    Effect.provideContext(
      Multipart.limitsServices({
        maxParts,
        maxFieldSize,
        maxTotalSize: ByteSize.sum(maxSize, maxOverhead),
        // A file is a file whatever its type says.
        fieldMimeTypes: []
      })
    )
  )
  if (Option.isNone(file)) return yield* missing
  return { ...file.value, size, timeToLive }
})
