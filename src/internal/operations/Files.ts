/**
 * `POST /files`.
 */
import { Duration, Schema, Stream } from "effect"
import type { HttpBody } from "effect/http"
import * as Wire from "../../api/schema/Files.ts"
import { Seconds } from "../../api/schema/Ids.ts"
import { fileToken, type Source, type UploadedFile, type UploadOptions } from "../../Upload.ts"
import * as Input from "../Input.ts"
import * as Multipart from "../Multipart.ts"
import { decodeTo, decoder, define } from "../Operation.ts"

const toFile = (uploaded: Wire.Uploaded): UploadedFile => ({
  token: fileToken(uploaded.fileToken),
  size: uploaded.size,
  timeToLive: uploaded.ttl
})

/** A file for an agent to read. */
export const upload = define({
  name: "Forge.upload",
  method: "POST",
  path: Wire.path,
  statuses: [413, 422],
  deadline: Duration.minutes(1),
  decode: decodeTo(decoder(Wire.Uploaded), toFile)
})

const encodeHead = Input.encoder(
  Schema.Struct({
    name: Schema.String.check(
      Schema.isPattern(/^[^\u0000-\u001f\u007f]+$/, { message: "must not be empty, nor hold control characters" })
    ),
    content: Schema.Unknown.check(Schema.makeFilter(Stream.isStream, { message: "must be a Stream" })),
    size: Schema.UndefinedOr(Schema.Int.check(Schema.isGreaterThanOrEqualTo(0, { message: "must not be negative" }))),
    timeToLive: Schema.optionalKey(Seconds),
    timeout: Schema.optionalKey(Seconds)
  })
)

/** Refuses a file, or options, that cannot be sent; gives the time to live as the wire has it. */
export const encode = <E, R>(source: Source<E, R>, options: UploadOptions = {}) =>
  encodeHead(upload, () => ({
    name: source.name,
    content: source.content,
    size: source.size,
    ...(options.timeToLive === undefined ? {} : { timeToLive: Input.span(options.timeToLive) }),
    ...(options.timeout === undefined ? {} : { timeout: Input.span(options.timeout) })
  }))

/** The body of an upload, which reads its file as it is sent. */
export const body = <E>(source: Source<E>, boundary: string, timeToLive: number | undefined): HttpBody.Stream =>
  Multipart.body(source, {
    boundary,
    fields: timeToLive === undefined ? {} : { [Wire.ttlField]: String(timeToLive) },
    filePart: Wire.filePart
  })
