/**
 * `GET /sessions/{id}/files` and `/sessions/{id}/files/content`: the files in the folder that a session works in.
 */
import { type DateTime, Schema } from "effect"
import { renamed, UnixSeconds } from "./Ids.ts"

/** The bounds of a path, in bytes and names. */
const maxPath = 4_096
const maxName = 255
const maxNames = 64

/** How deep a list may go, and how deep it goes if the caller does not say. */
export const depth = { minimum: 1, maximum: 32, default: 1 } as const

/** The most entries of a list. */
export const maxEntries = 10_000

const byteLength = (text: string) => new TextEncoder().encode(text).byteLength

/** What a path that leaves the folder is told. */
export const leaves = "leaves the session's folder"

/** What is wrong with a path below the folder; undefined if nothing is. */
export const problemOf = (path: string): string | undefined => {
  const names = path.split("/")
  if (path.startsWith("/") || names.includes("..")) return leaves
  if (!path.isWellFormed() || path.includes("\0")) return "must be a path of well-formed text"
  if (names.some((name) => name === "" || name === ".")) return 'must be names with "/" between them'
  if (names.length > maxNames) return `must not have more than ${maxNames} names`
  return byteLength(path) > maxPath || names.some((name) => byteLength(name) > maxName) ? "is too long" : undefined
}

const checkPath = (path: string) => problemOf(path) ?? true

/** The path of a file, relative to the session's folder. */
export const FilePath = Schema.String.check(Schema.makeFilter(checkPath))

/** The same of a folder, where an empty one is that of the session. */
export const FolderPath = Schema.String.check(Schema.makeFilter((path) => path === "" || checkPath(path)))

export const Depth = Schema.Int.check(Schema.isBetween(depth))

/** What is in the folder of a session. */
export interface FileEntry {
  /** Relative to the session's folder. */
  readonly path: string
  readonly kind: "file" | "dir" | "link" | "other"
  /** In bytes. */
  readonly size: number
  readonly modifiedAt: DateTime.Utc
  /** Of a file: another one whenever its content may be another. */
  readonly etag?: string | undefined
}

const entryStruct = /* @__PURE__ */ renamed(
  {
    path: Schema.String,
    kind: Schema.Literals(["file", "dir", "link", "other"]),
    size: Schema.Finite,
    modifiedAt: UnixSeconds,
    etag: Schema.optionalKey(Schema.String)
  },
  { modifiedAt: "modified_at" }
)

/** As the wire has it. */
export interface FileEntryEncoded extends Schema.Codec.Encoded<typeof entryStruct> {}

export const fileEntry: Schema.Codec<FileEntry, FileEntryEncoded> = entryStruct

/** The answer to a list. */
export const List = Schema.Struct({
  ok: Schema.Literal(true),
  entries: Schema.Array(fileEntry),
  /** Whether there are more than the list has. */
  truncated: Schema.Boolean,
  /** How many have a name that is not UTF-8, which the list does not have. */
  unlisted: Schema.Int
})
export type List = typeof List.Type

/** The answer to a write. */
export const Written = Schema.Struct({
  ok: Schema.Literal(true),
  size: Schema.Finite,
  etag: Schema.String
})
export type Written = typeof Written.Type
