/**
 * Files that an agent can read: uploaded once, and named by a token.
 *
 * A file is sent as it is read, and is never held in memory as a whole, except in a browser: browsers send streams over
 * HTTP/2 only, or not at all. A file belongs to the app that uploaded it, and the server forgets it when its time is over.
 *
 * **Example** (Asking about a file)
 *
 * ```ts
 * import { Effect } from "effect"
 * import { Forge, Upload } from "effect-clawdforge"
 *
 * const program = Effect.gen(function* () {
 *   const file = yield* Forge.upload(Upload.fromBytes("notes.txt", new TextEncoder().encode("Buy milk.")))
 *   const session = yield* Forge.session({ agent: "claude" })
 *   const turn = yield* session.turn("What is on the list?", { files: [file.token] })
 *   return turn.text
 * }).pipe(Effect.scoped)
 * ```
 */
import { type Duration, Effect, FileSystem, Path, type PlatformError, type Schema, Stream } from "effect"
import * as Wire from "./wire/Files.ts"

export type { UploadedFileEncoded } from "./wire/Files.ts"
export { FileToken, fileToken } from "./wire/Ids.ts"

/** A file to upload. */
export interface Source<E = never, R = never> {
  /** The name that the agent will see: not empty, and without control characters. */
  readonly name: string
  readonly content: Stream.Stream<Uint8Array, E, R>
  /** Its media type, such as `text/csv`. Without it, the server goes by the extension of the name. */
  readonly contentType?: string | undefined
  /** In bytes, where it is known. */
  readonly size: number | undefined
  /** Whether the content can be read again from its start, if the upload has to be repeated. */
  readonly rereadable: boolean
}

/** A file from memory. */
export const fromBytes = (
  name: string,
  bytes: Uint8Array,
  options?: { readonly contentType?: string | undefined }
): Source => ({
  name,
  content: Stream.make(bytes),
  contentType: options?.contentType,
  size: bytes.byteLength,
  rereadable: true
})

/**
 * A file from a stream, whose size in bytes may be given. It is read once: an upload of it is not repeated. An upload fails
 * with what the stream fails with; where the size turns out to be another, with `ApiError<422>`.
 *
 * **Example** (A report that is written while it is sent)
 *
 * ```ts
 * import { Stream } from "effect"
 * import { Forge, Upload } from "effect-clawdforge"
 *
 * const lines = Stream.range(1, 1000).pipe(Stream.map((line) => `line ${line}\n`), Stream.encodeText)
 *
 * const upload = Forge.upload(Upload.fromStream("report.txt", lines), { timeToLive: "10 minutes" })
 * ```
 */
export const fromStream = <E, R>(
  name: string,
  content: Stream.Stream<Uint8Array, E, R>,
  options?: { readonly size?: number | undefined; readonly contentType?: string | undefined }
): Source<E, R> => ({
  name,
  content,
  contentType: options?.contentType,
  size: options?.size,
  rereadable: false
})

/** How a file of this machine is sent. */
export interface FromPathOptions {
  /** Another name than its own. */
  readonly name?: string | undefined
  readonly contentType?: string | undefined
}

/**
 * A file of this machine, under its own name unless another is given. Of a file that grows meanwhile, what it held at
 * first is sent; a pipe is read to its end, once. It needs the `FileSystem` and `Path` of the platform: on Node,
 * `NodeServices.layer`.
 */
export const fromPath: (
  path: string,
  options?: FromPathOptions
) => Effect.Effect<
  Source<PlatformError.PlatformError>,
  PlatformError.PlatformError,
  FileSystem.FileSystem | Path.Path
> = Effect.fnUntraced(function* (path: string, options?: FromPathOptions) {
  const fs = yield* FileSystem.FileSystem
  const { basename } = yield* Path.Path
  const { size, type } = yield* fs.stat(path)
  const isFile = type === "File"
  return {
    name: options?.name ?? basename(path),
    contentType: options?.contentType,
    content: isFile ? fs.stream(path, { bytesToRead: size }) : fs.stream(path),
    size: isFile ? Number(size) : undefined,
    rereadable: isFile
  }
})

/** How a file is uploaded. */
export interface UploadOptions {
  /** How long the server keeps it: 1 hour by default, between 1 minute and 1 day, sent in whole seconds, rounded up. */
  readonly timeToLive?: Duration.Input | undefined
  /** How long the upload may take as a whole: 1 minute by default. */
  readonly timeout?: Duration.Input | undefined
}

/** A file that the server has. */
export type UploadedFile = Wire.UploadedFile

/** The codec of a file that the server has. Its encoded form shows the token. */
export const UploadedFile: Schema.Codec<UploadedFile, Wire.UploadedFileEncoded> = Wire.uploadedFile
