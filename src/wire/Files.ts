/**
 * `POST /files`: a file for an agent to read, as multipart/form-data.
 */
import { Duration, Schema, SchemaGetter } from "effect"
import { FileToken, renamed, Seconds } from "./Ids.ts"

/** The part that holds the file. */
export const filePart = "file"

/** The field for the time to live, in whole seconds. */
export const ttlField = "ttl_secs"

/** A type and a subtype (RFC 6838, section 4.2), which may be followed by parameters. */
export const MediaType = Schema.String.check(
  Schema.isPattern(/^[A-Za-z0-9][\w.+!#$&^-]{0,126}\/[A-Za-z0-9][\w.+!#$&^-]{0,126}(;[\x20-\x7e]{0,255})?$/, {
    message: 'must be a media type, "text/csv" for one'
  })
)

export const isMediaType = Schema.is(MediaType)

/** Its bounds, in seconds. */
export const ttl = { minimum: 60, maximum: 86_400, default: 3_600 } as const

/** The message for an invalid time to live. */
export const timeToLiveRule = `must be a whole number of seconds from ${ttl.minimum} to ${ttl.maximum}`

/** A time to live as the server takes it: digits, in a field of the form or in the query. */
export const TimeToLive = Schema.String.check(
  Schema.makeFilter(
    (text) => (/^\d{1,6}$/.test(text) && Number(text) >= ttl.minimum && Number(text) <= ttl.maximum) || timeToLiveRule
  )
).pipe(
  Schema.decodeTo(Schema.Duration, {
    decode: SchemaGetter.transform((text: string) => Duration.seconds(Number(text))),
    encode: SchemaGetter.transform((span: Duration.Duration) => String(Math.ceil(Duration.toSeconds(span))))
  })
)

/** A file that the server has. */
export interface UploadedFile {
  readonly token: FileToken
  /** In bytes. */
  readonly size: number
  /** How long the server keeps it, in whole seconds. */
  readonly timeToLive: Duration.Duration
}

const fields = { token: FileToken, timeToLive: Seconds, size: Schema.Int }

const keys = { token: "file_token", timeToLive: "ttl_secs" } as const

const uploadedFileStruct = /* @__PURE__ */ renamed(fields, keys)

/** As the wire has it. */
export interface UploadedFileEncoded extends Schema.Codec.Encoded<typeof uploadedFileStruct> {}

export const uploadedFile: Schema.Codec<UploadedFile, UploadedFileEncoded> = uploadedFileStruct

/** The answer; where it has an `ok`, that is true. */
export const Uploaded = Schema.Struct({ ok: Schema.optionalKey(Schema.Literal(true)), ...fields }).pipe(
  Schema.encodeKeys(keys)
)
export type Uploaded = typeof Uploaded.Type
