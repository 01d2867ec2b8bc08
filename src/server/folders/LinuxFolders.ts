/**
 * The files in folders on Linux. Each name on the way to one is opened by itself, below the folder that is open.
 */
import { DateTime, Effect, Layer, type Scope, Semaphore, Stream } from "effect"
import { SecureRandom } from "effect/crypto/SecureRandom"
import { type BigIntStats } from "node:fs"
import { FileChanged, FileNotFound, type Invalid, StorageUnavailable } from "../../api/Errors.ts"
import { type FileEntry, maxEntries } from "../../wire/SessionFiles.ts"
import { Folders, holds, invalidPath } from "./Folders.ts"
import * as Handle from "./Handle.ts"

type Refused = FileNotFound | Invalid | StorageUnavailable

const chunkBytes = 64 * 1024

/** The name of a file that is being written. */
const partPattern = /^\.clawdforge-[0-9a-f-]{36}\.part$/

const etagOf = ({ ino, mtimeNs, size }: BigIntStats): string =>
  [ino, mtimeNs, size].map((number) => number.toString(16)).join("-")

const kindOf = (stats: BigIntStats): FileEntry["kind"] => {
  if (stats.isFile()) return "file"
  if (stats.isDirectory()) return "dir"
  return stats.isSymbolicLink() ? "link" : "other"
}

const entryOf = (path: string, stats: BigIntStats): FileEntry => ({
  path,
  kind: kindOf(stats),
  size: Number(stats.size),
  modifiedAt: DateTime.makeUnsafe(Number(stats.mtimeMs)),
  ...(stats.isFile() ? { etag: etagOf(stats) } : {})
})

const isLink = invalidPath("goes through a link, which is not followed")

const refusal = ({ cause, code }: Handle.CallFailed): Refused => {
  switch (code) {
    case "ENOENT":
    case "ENOTDIR":
      return new FileNotFound()
    case "ELOOP":
      return isLink
    case "EISDIR":
      return invalidPath("is a folder")
    case "EACCES":
    case "EPERM":
    case "EROFS":
      return invalidPath("may not be opened by the server")
    case "ENXIO":
      return invalidPath("is not a file")
    default:
      return StorageUnavailable.from(cause)
  }
}

const orRefused = <A, R>(effect: Effect.Effect<A, Handle.CallFailed, R>): Effect.Effect<A, Refused, R> =>
  Effect.mapError(effect, refusal)

/** Opens a folder below another one. A link in its place is not one that is missing. */
const folderIn = (parent: Handle.Handle, name: string): Effect.Effect<Handle.Handle, Refused, Scope.Scope> =>
  Effect.catchTag(Handle.folder(parent, name), "CallFailed", (failure) => {
    if (failure.code !== "ENOTDIR") return Effect.fail(refusal(failure))
    const isLinkNow = Effect.map(Handle.statOf(parent, name), (stats) => stats.isSymbolicLink())
    return Effect.flatMap(
      Effect.orElseSucceed(isLinkNow, () => false),
      (found) => Effect.fail(found ? isLink : refusal(failure))
    )
  })

const walk = Effect.fnUntraced(function* (root: string, names: ReadonlyArray<string>) {
  let folder = yield* orRefused(Handle.root(root))
  for (const name of names) folder = yield* folderIn(folder, name)
  return folder
})

/** The same, with the folders that are missing made. */
const walkMaking = Effect.fnUntraced(function* (root: string, names: ReadonlyArray<string>) {
  let folder = yield* orRefused(Handle.root(root))
  for (const name of names) {
    const parent = folder
    const made = Handle.makeFolder(parent, name).pipe(
      Effect.catchTag("CallFailed", (failure) => (failure.code === "EEXIST" ? Effect.void : Effect.fail(failure))),
      orRefused,
      Effect.andThen(folderIn(parent, name))
    )
    folder = yield* Effect.catchTag(folderIn(parent, name), "FileNotFound", () => made)
  }
  return folder
})

/** A path as the folders on the way and the name in the last of them. */
const split = (path: string) => {
  const names = path.split("/")
  return { above: names.slice(0, -1), name: names.at(-1) ?? "" }
}

const list = Effect.fnUntraced(function* (
  root: string,
  { depth, path }: { readonly path: string; readonly depth: number }
) {
  const entries: Array<FileEntry> = []
  let truncated = false
  let unlisted = 0

  const visit = Effect.fnUntraced(function* (
    folder: Handle.Handle,
    prefix: string,
    left: number
  ): Effect.fn.Return<void, Refused> {
    const limit = maxEntries + 1 - entries.length
    const names = yield* orRefused(Handle.names(folder, limit))
    truncated ||= names.length === limit
    const known = names.filter((name) => name !== undefined)
    unlisted += names.length - known.length
    for (const name of known.toSorted((a, b) => (a < b ? -1 : 1))) {
      if (partPattern.test(name)) continue
      if (entries.length === maxEntries) {
        truncated = true
        return
      }
      // It may be gone by now.
      const stats = yield* Effect.orElseSucceed(Handle.statOf(folder, name), () => undefined)
      if (stats === undefined) continue
      entries.push(entryOf(prefix + name, stats))
      if (left === 1 || !stats.isDirectory() || name === ".git") continue
      yield* Effect.scoped(
        Effect.flatMap(Effect.option(folderIn(folder, name)), (opened) =>
          opened._tag === "Some" ? visit(opened.value, `${prefix}${name}/`, left - 1) : Effect.void
        )
      )
    }
  })

  const names = path === "" ? [] : path.split("/")
  yield* visit(yield* walk(root, names), path === "" ? "" : `${path}/`, depth)
  return { entries, truncated, unlisted }
}, Effect.scoped)

const readChunk = Effect.fnUntraced(function* (handle: Handle.Handle, at: number, to: number) {
  const buffer = new Uint8Array(Math.min(chunkBytes, to - at))
  const { bytesRead } = yield* Handle.call(() => handle.read(buffer, 0, buffer.byteLength, at)).pipe(
    Effect.mapError(({ cause }) => StorageUnavailable.from(cause))
  )
  if (bytesRead === 0) return yield* StorageUnavailable.from(new Error("the file was cut while it was read"))
  return buffer.subarray(0, bytesRead)
})

const open = Effect.fnUntraced(function* (root: string, path: string) {
  const { above, name } = split(path)
  const handle = yield* orRefused(Handle.file(yield* walk(root, above), name))
  const stats = yield* orRefused(Handle.stat(handle))
  if (!stats.isFile()) return yield* invalidPath(stats.isDirectory() ? "is a folder" : "is not a file")
  return {
    size: Number(stats.size),
    etag: etagOf(stats),
    read: (from: number, to: number) =>
      Stream.unfold(from, (at) =>
        at < to
          ? Effect.map(readChunk(handle, at, to), (chunk) => [chunk, at + chunk.byteLength] as const)
          : Effect.undefined
      )
  }
})

const writeAll = Effect.fnUntraced(function* (handle: Handle.Handle, chunk: Uint8Array) {
  let at = 0
  while (at < chunk.byteLength) {
    const from = at
    const { bytesWritten } = yield* orRefused(Handle.call(() => handle.write(chunk, from)))
    at += bytesWritten
  }
})

export const make = Effect.gen(function* () {
  const random = yield* SecureRandom
  /** Between a condition and what it is for no other write comes. */
  const moving = yield* Semaphore.make(1)

  const write = Effect.fnUntraced(function* <E>(
    root: string,
    file: {
      readonly path: string
      readonly condition: { readonly etag?: string | undefined; readonly isNew?: boolean | undefined }
      readonly content: Stream.Stream<Uint8Array, E>
    }
  ) {
    const { above, name } = split(file.path)
    const folder = yield* walkMaking(root, above)
    const current = Effect.orElseSucceed(Handle.statOf(folder, name), () => undefined)
    /** Fails unless the file may be replaced, and returns its mode. */
    const check = Effect.gen(function* () {
      const stats = yield* current
      if (stats?.isDirectory() === true) return yield* invalidPath("is a folder")
      if (!holds(file.condition, stats === undefined ? undefined : etagOf(stats))) return yield* new FileChanged()
      return stats?.isFile() === true ? Number(stats.mode) & 0o777 : undefined
    })
    const mode = yield* check
    const part = `.clawdforge-${yield* random.uuidV4()}.part`
    const handle = yield* orRefused(Handle.newFile(folder, part))
    // Once it is in its place it has this name no more.
    yield* Effect.addFinalizer(() => Effect.ignore(Handle.remove(folder, part)))
    yield* Stream.runForEach(file.content, (chunk) => writeAll(handle, chunk))
    if (mode !== undefined) yield* orRefused(Handle.call(() => handle.chmod(mode)))
    const stats = yield* orRefused(Handle.stat(handle))
    yield* Effect.andThen(check, orRefused(Handle.move(folder, part, name))).pipe(moving.withPermits(1))
    return { size: Number(stats.size), etag: etagOf(stats) }
  }, Effect.scoped)

  return Folders.of({ isSupported: Handle.isSupported, list, open, write })
})

export const layer = Layer.effect(Folders, make)
