/**
 * The calls about the files of a session.
 */
import { Duration, Effect, Schema, Stream } from "effect"
import { HttpBody } from "effect/http"
import type { ApiError } from "../../ForgeError.ts"
import type {
  FileContent,
  FileList,
  ListFilesOptions,
  ReadFileOptions,
  WriteFileOptions,
  WrittenFile
} from "../../SessionFiles.ts"
import type { Source } from "../../Upload.ts"
import * as Paths from "../../wire/Paths.ts"
import * as Wire from "../../wire/SessionFiles.ts"
import * as Input from "./Input.ts"
import { callDeadline, callOf, decodeTo, decoder, define } from "./Operation.ts"

const statuses = [404, 410, 412, 413, 422] as const

export const list = define({
  deadline: callDeadline,
  name: "Session.files.list",
  method: "GET",
  path: Paths.sessionFiles.template,
  statuses,
  decode: decodeTo(decoder(Wire.List), ({ ok: _ok, ...list }): FileList => list)
})

/** Its answer is not JSON: it is read as it arrives. */
export const read = define({
  deadline: callDeadline,
  name: "Session.files.read",
  method: "GET",
  path: Paths.fileContent.template,
  statuses,
  decode: decoder(Schema.Never)
})

export const write = define({
  deadline: Duration.minutes(1),
  name: "Session.files.write",
  method: "PUT",
  path: Paths.fileContent.template,
  statuses,
  decode: decodeTo(decoder(Wire.Written), ({ ok: _ok, ...file }): WrittenFile => file)
})

const Count = Schema.Int.check(Schema.isGreaterThanOrEqualTo(0, { message: "must not be negative" }))

/** As it stands in a header. */
const Etag = Schema.String.check(
  Schema.isPattern(/^[\x21\x23-\x7e]{1,128}$/, { message: "must be a tag that a call gave" })
)

const encodeList = Input.encoder(
  Schema.Struct({
    path: Schema.optionalKey(Wire.FolderPath),
    depth: Schema.optionalKey(Wire.Depth)
  })
)

const encodeRead = Input.encoder(
  Schema.Struct({
    path: Wire.FilePath,
    offset: Schema.optionalKey(Count),
    length: Schema.optionalKey(Count),
    etag: Schema.optionalKey(Etag)
  })
)

const encodeWrite = Input.encoder(
  Schema.Struct({
    path: Wire.FilePath,
    etag: Schema.optionalKey(Etag),
    isNew: Schema.optionalKey(Schema.Boolean)
  })
)

/** The fields that are given. */
const given = (fields: Readonly<Record<string, unknown>>) =>
  Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== undefined))

const queryOf = (fields: Readonly<Record<string, unknown>>): string => {
  const query = new URLSearchParams(Object.entries(fields).map(([name, value]) => [name, String(value)]))
  return query.size === 0 ? "" : `?${query}`
}

export const prepareList = (options: ListFilesOptions = {}) =>
  Effect.map(
    encodeList(list, () => given({ path: options.path, depth: options.depth })),
    queryOf
  )

/** The part of a file that is to be read, and the tag that it must have. */
export interface PreparedRead {
  readonly query: string
  readonly offset: number
  readonly length: number | undefined
  readonly etag: string | undefined
}

export const prepareRead = (path: string, options: ReadFileOptions = {}): Effect.Effect<PreparedRead, ApiError<422>> =>
  Effect.map(
    encodeRead(read, () => given({ path, offset: options.offset, length: options.length, etag: options.etag })),
    ({ etag, length, offset = 0 }) => ({ query: queryOf({ path }), offset, length, etag })
  )

const encoder = new TextEncoder()

/** The content as a source, whose `name` shows where the file goes. */
const sourceOf = <E, R>(path: string, content: FileContent<E, R>): Source<E, R> | undefined => {
  if (typeof content === "string") return sourceOf(path, encoder.encode(content))
  if (content instanceof Uint8Array) {
    return { name: path, content: Stream.make(content), size: content.byteLength, rereadable: true }
  }
  return Stream.isStream(content) ? { name: path, content, size: undefined, rereadable: false } : undefined
}

const noContent = { path: ["content"], message: "must be a string, a Uint8Array or a Stream of them" }

export const prepareWrite = Effect.fnUntraced(function* <E, R>(
  path: string,
  content: FileContent<E, R>,
  options: WriteFileOptions = {}
) {
  const { etag, isNew = false } = yield* encodeWrite(write, () =>
    given({ path, etag: options.etag, isNew: options.isNew })
  )
  const source = sourceOf(path, content)
  if (source === undefined) return yield* Input.refuse(callOf(write), [noContent])
  const headers = {
    ...(etag === undefined ? {} : { "if-match": `"${etag}"` }),
    ...(isNew ? { "if-none-match": "*" } : {})
  }
  // Of a write that may have happened, a second one would find its own file.
  const repeatable = source.rereadable && etag === undefined && !isNew
  return { source, query: queryOf({ path }), headers, repeatable }
})

export const body = <E>({ content, size }: Source<E>): HttpBody.Stream =>
  HttpBody.stream(content, "application/octet-stream", size)
