/**
 * `POST /files`: a file for an agent to read, as multipart/form-data.
 */
import { Schema } from "effect"
import { FileToken, Seconds } from "./Ids.ts"

export const path = "/files"

/** The part that holds the file. */
export const filePart = "file"

/** The field that says for how long the file is kept, in whole seconds. */
export const ttlField = "ttl_secs"

/** The bounds of that, in seconds. */
export const ttl = { minimum: 60, maximum: 86_400, default: 3_600 } as const

/** The answer; where it has an `ok`, that is true. */
export const Uploaded = Schema.Struct({
  ok: Schema.optionalKey(Schema.Literal(true)),
  fileToken: FileToken,
  ttl: Seconds,
  size: Schema.Int
}).pipe(Schema.encodeKeys({ fileToken: "file_token", ttl: "ttl_secs" }))
export type Uploaded = typeof Uploaded.Type
