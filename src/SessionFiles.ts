/**
 * The files in the folder that a session works in.
 *
 * **Example** (Giving an agent a file, and fetching what it made of it)
 *
 * ```ts
 * import { Effect, Stream } from "effect"
 * import { Forge } from "effect-clawdforge"
 *
 * const program = Effect.gen(function* () {
 *   const session = yield* Forge.session({ agent: "claude" })
 *   yield* session.files.write("data/orders.csv", "id,total\n1,42\n")
 *   yield* session.turn("Write a report about data/orders.csv into report.md.")
 *   return yield* session.files.read("report.md").pipe(Stream.decodeText, Stream.mkString)
 * }).pipe(Effect.scoped)
 * ```
 */
import type { Effect, Schema, Stream } from "effect"
import type { FilesError } from "./ForgeError.ts"
import * as Wire from "./wire/SessionFiles.ts"

export type { FileEntryEncoded } from "./wire/SessionFiles.ts"

/** What is in a folder: a `link` is one that no call follows, and `other` is a pipe, a socket or a device. */
export type FileEntry = Wire.FileEntry

export const FileEntry: Schema.Codec<FileEntry, Wire.FileEntryEncoded> = Wire.fileEntry

/** What a folder has. */
export interface FileList {
  /** In the order of their paths, a folder before what is in it. */
  readonly entries: ReadonlyArray<FileEntry>
  /** Whether there are more than the 10,000 that a list has at most. */
  readonly truncated: boolean
  /** How many have a name that is not UTF-8, which no path can name. */
  readonly unlisted: number
}

export interface ListFilesOptions {
  /** A folder, relative to the session's; that one itself if not given. */
  readonly path?: string | undefined
  /** How many levels of folders: 1 if not given, 32 at most. What is in `.git` is listed where `path` names it. */
  readonly depth?: number | undefined
}

export interface ReadFileOptions {
  /** The first byte: 0 if not given. */
  readonly offset?: number | undefined
  /** How many bytes at most: all of them if not given. */
  readonly length?: number | undefined
  /** The tag of the file that it must still have; any if not given. */
  readonly etag?: string | undefined
}

export interface WriteFileOptions {
  /** The tag of the file that is to be replaced: another one is not. */
  readonly etag?: string | undefined
  /** Whether the file must not be there yet; false if not given. */
  readonly isNew?: boolean | undefined
}

/** A file that was written. */
export interface WrittenFile {
  /** In bytes. */
  readonly size: number
  readonly etag: string
}

/** What a file is written with. */
export type FileContent<E = never, R = never> = string | Uint8Array | Stream.Stream<Uint8Array, E, R>

/**
 * The files of a session, on a server that names `files`. A path is relative to the session's folder, with `/` between its
 * names. Nothing outside of that folder is read or written: a path that leaves it, or goes through a link, is `ApiError<422>`.
 */
export interface SessionFiles {
  readonly list: (options?: ListFilesOptions) => Effect.Effect<FileList, FilesError>

  /**
   * The content of a file, as it arrives. A connection that breaks is opened again where it broke; where the file has changed
   * by then, it fails with `ApiError<412>`.
   */
  readonly read: (path: string, options?: ReadFileOptions) => Stream.Stream<Uint8Array, FilesError>

  /**
   * Writes a file, and the folders above it: beside its place, and then moved there, so that no one sees a part of it. Where
   * `etag` or `isNew` does not hold it is `ApiError<412>`. A write with such a condition is sent once, as is one of a stream.
   */
  readonly write: <E = never, R = never>(
    path: string,
    content: FileContent<E, R>,
    options?: WriteFileOptions
  ) => Effect.Effect<WrittenFile, E | FilesError, R>
}
