/**
 * Files and folders that are open, and what is below them.
 *
 * Node has no `openat`. On Linux `/proc/self/fd/N/name` is the name in the folder that is open as N, wherever that folder is
 * by now; with O_NOFOLLOW no link on the way is followed (proc_pid_fd(5), open(2)).
 */
import { Data, Effect, Option, Predicate } from "effect"
import { type BigIntStats, constants, existsSync } from "node:fs"
import * as Fs from "node:fs/promises"

export type Handle = Fs.FileHandle

export const isSupported = process.platform === "linux" && existsSync("/proc/self/fd")

/** A call of the system that failed, with its name for why. */
export class CallFailed extends Data.TaggedError("CallFailed")<{
  readonly code: string
  readonly cause: unknown
}> {}

const codeOf = (cause: unknown): string =>
  Predicate.hasProperty(cause, "code") && typeof cause.code === "string" ? cause.code : ""

export const call = <A>(run: () => Promise<A>): Effect.Effect<A, CallFailed> =>
  Effect.tryPromise({ try: run, catch: (cause) => new CallFailed({ code: codeOf(cause), cause }) })

/** The path of a name in a folder that is open. */
const below = (folder: Handle, name: string): string => `/proc/self/fd/${folder.fd}/${name}`

const open = (path: string, flags: number, mode?: number) =>
  Effect.acquireRelease(
    call(() => Fs.open(path, flags | constants.O_NOFOLLOW, mode)),
    (handle) => Effect.ignore(call(() => handle.close()))
  )

const folderFlags = constants.O_RDONLY | constants.O_DIRECTORY

/** Opens a folder by its absolute path, which the server chose. */
export const root = (path: string) => open(path, folderFlags)

export const folder = (parent: Handle, name: string) => open(below(parent, name), folderFlags)

/** Opens what is there for reading: of a pipe it does not wait for a writer. */
export const file = (parent: Handle, name: string) =>
  open(below(parent, name), constants.O_RDONLY | constants.O_NONBLOCK)

/** Makes a file, which must not be there. */
export const newFile = (parent: Handle, name: string) =>
  open(below(parent, name), constants.O_WRONLY | constants.O_CREAT | constants.O_EXCL, 0o644)

export const makeFolder = (parent: Handle, name: string) => call(() => Fs.mkdir(below(parent, name)))

export const remove = (parent: Handle, name: string) => call(() => Fs.unlink(below(parent, name)))

/** Gives a file another name in its folder, in the place of what has it. */
export const move = (parent: Handle, from: string, to: string) =>
  call(() => Fs.rename(below(parent, from), below(parent, to)))

/** What a name is; of a link itself. */
export const statOf = (parent: Handle, name: string): Effect.Effect<BigIntStats, CallFailed> =>
  call(() => Fs.lstat(below(parent, name), { bigint: true }))

export const stat = (handle: Handle): Effect.Effect<BigIntStats, CallFailed> =>
  call(() => handle.stat({ bigint: true }))

const utf8 = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true })

const decode = Option.liftThrowable((bytes: Uint8Array) => utf8.decode(bytes))

// boundary: of the type checker, to which only text has an encoding. Names are bytes, as they are on the disk.
const asBytes = "buffer" as BufferEncoding

/** The names in a folder, so many at most; undefined for each that is not UTF-8. */
export const names = Effect.fnUntraced(function* (folder: Handle, limit: number) {
  const dir = yield* Effect.acquireRelease(
    call(() => Fs.opendir(below(folder, "."), { encoding: asBytes })),
    (dir) => Effect.ignore(call(() => dir.close()))
  )
  const found: Array<string | undefined> = []
  while (found.length < limit) {
    const entry = yield* call(() => dir.read())
    if (entry === null) break
    found.push(Option.getOrUndefined(decode(Buffer.from(entry.name))))
  }
  return found
}, Effect.scoped)
