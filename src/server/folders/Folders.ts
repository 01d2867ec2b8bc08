/**
 * The files in the folders that agents work in.
 *
 * Paths are relative and stay in their folder, whatever its agent does with it meanwhile: no link is followed.
 */
import { Context, type Effect, type Scope, type Stream } from "effect"
import { type FileChanged, type FileNotFound, Invalid, type StorageUnavailable } from "../../api/Errors.ts"
import type { FileEntry } from "../../wire/SessionFiles.ts"

export interface Listing {
  /** In the order of their paths, a folder before what is in it. */
  readonly entries: ReadonlyArray<FileEntry>
  /** Whether there are more. */
  readonly truncated: boolean
  /** How many have a name that is not UTF-8. */
  readonly unlisted: number
}

/** A file that is open: it stays the same one, whatever becomes of its path. */
export interface OpenedFile {
  readonly size: number
  readonly etag: string
  /** The bytes from one place up to another, which is not among them. */
  readonly read: (from: number, to: number) => Stream.Stream<Uint8Array, StorageUnavailable>
}

/** What a file must be like to be replaced. */
export interface Condition {
  /** It must be there, with this tag. */
  readonly etag?: string | undefined
  /** It must not be there. */
  readonly isNew?: boolean | undefined
}

export interface Written {
  readonly size: number
  readonly etag: string
}

type Refused = FileNotFound | Invalid | StorageUnavailable

export class Folders extends Context.Service<
  Folders,
  {
    /** Whether this system has a way to open paths without following links. */
    readonly isSupported: boolean
    readonly list: (
      folder: string,
      options: { readonly path: string; readonly depth: number }
    ) => Effect.Effect<Listing, Refused>
    /** Opens a file until the scope closes. */
    readonly open: (folder: string, path: string) => Effect.Effect<OpenedFile, Refused, Scope.Scope>
    /** Writes a file beside its place and moves it there, with the folders above it. Nothing is left if that fails. */
    readonly write: <E>(
      folder: string,
      file: { readonly path: string; readonly condition: Condition; readonly content: Stream.Stream<Uint8Array, E> }
    ) => Effect.Effect<Written, E | FileChanged | Refused>
  }
>()("effect-clawdforge/server/folders/Folders") {}

/** What is wrong with the path of a request. */
export const invalidPath = (problem: string) =>
  new Invalid({ detail: [{ loc: ["query", "path"], msg: problem, type: "value_error" }] })

/** Whether a file that may be there is as the condition has it. */
export const holds = ({ etag, isNew = false }: Condition, current: string | undefined): boolean =>
  (etag === undefined || etag === current) && (!isNew || current === undefined)
