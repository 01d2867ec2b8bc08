/**
 * `POST /files`.
 */
import { Duration, Effect, Schema } from "effect"
import type { HttpBody } from "effect/http"
import * as Wire from "../../api/schema/Files.ts"
import { Seconds } from "../../api/schema/Ids.ts"
import type { ApiError } from "../../ForgeError.ts"
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
    timeToLive: Schema.optionalKey(Seconds)
  })
)

/** The body of an upload, which reads its file as it is sent. */
export const encode = <E>(
  source: Source<E>,
  boundary: string,
  { timeToLive }: UploadOptions = {}
): Effect.Effect<HttpBody.Stream, ApiError<422>> =>
  encodeHead(upload, {
    name: source.name,
    ...(timeToLive === undefined ? {} : { timeToLive: Duration.fromInputUnsafe(timeToLive) })
  }).pipe(
    Effect.map((head) =>
      Multipart.body(source, {
        boundary,
        fields: head.timeToLive === undefined ? {} : { [Wire.ttlField]: String(head.timeToLive) },
        filePart: Wire.filePart
      })
    )
  )
