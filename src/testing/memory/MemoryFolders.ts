/**
 * The folders of a server in memory: what was written into them, what came with prompts, and what a workspace has.
 */
import { DateTime, Effect, Layer, Stream } from "effect"
import { FileChanged, FileNotFound } from "../../api/Errors.ts"
import { Folders, holds, invalidPath } from "../../server/folders/Folders.ts"
import { type FileEntry, maxEntries } from "../../wire/SessionFiles.ts"
import { concat } from "../ResponseBody.ts"
import { putFile, type Store, type StoredFile } from "./Store.ts"

const etagOf = ({ version }: StoredFile): string => String(version)

/** A shared folder is given with a `.` at its end. */
const absolute = (folder: string, path: string) => `${folder.replace(/\/\.$/, "")}/${path}`

export const layer = (store: Store) => {
  const isFolder = (path: string) => [...store.files.keys()].some((name) => name.startsWith(`${path}/`))

  /** What is in a folder, with the folders that the paths of its files go through. */
  const entriesIn = (prefix: string, path: string) => {
    const entries = new Map<string, FileEntry>()
    for (const [name, file] of store.files) {
      if (!name.startsWith(prefix)) continue
      const names = name.slice(prefix.length).split("/")
      names.forEach((_, index) => {
        const own = [...(path === "" ? [] : [path]), ...names.slice(0, index + 1)].join("/")
        const isFile = index === names.length - 1
        entries.set(own, {
          path: own,
          kind: isFile ? "file" : "dir",
          size: isFile ? file.content.byteLength : 0,
          modifiedAt: DateTime.makeUnsafe(file.modifiedAt),
          ...(isFile ? { etag: etagOf(file) } : {})
        })
      })
    }
    return [...entries.values()].toSorted((a, b) => (a.path < b.path ? -1 : 1))
  }

  return Layer.succeed(
    Folders,
    Folders.of({
      isSupported: true,
      list: Effect.fnUntraced(function* (folder, { depth, path }) {
        const prefix = path === "" ? absolute(folder, "") : `${absolute(folder, path)}/`
        if (path !== "" && !isFolder(absolute(folder, path))) return yield* new FileNotFound()
        const deep = path === "" ? depth : depth + path.split("/").length
        const entries = entriesIn(prefix, path).filter((entry) => entry.path.split("/").length <= deep)
        return { entries: entries.slice(0, maxEntries), truncated: entries.length > maxEntries, unlisted: 0 }
      }),
      open: Effect.fnUntraced(function* (folder, path) {
        const name = absolute(folder, path)
        const file = store.files.get(name)
        if (file === undefined) return yield* isFolder(name) ? invalidPath("is a folder") : new FileNotFound()
        return {
          size: file.content.byteLength,
          etag: etagOf(file),
          read: (from, to) => Stream.make(file.content.slice(from, to))
        }
      }),
      write: Effect.fnUntraced(function* (folder, { condition, content, path }) {
        const name = absolute(folder, path)
        const names = path.split("/")
        const isBelowFile = names.some(
          (_, index) => index > 0 && store.files.has(absolute(folder, names.slice(0, index).join("/")))
        )
        if (isBelowFile) return yield* new FileNotFound()
        if (isFolder(name)) return yield* invalidPath("is a folder")
        const check = Effect.suspend(() => {
          const current = store.files.get(name)
          const etag = current === undefined ? undefined : etagOf(current)
          return holds(condition, etag) ? Effect.void : Effect.fail(new FileChanged())
        })
        yield* check
        const bytes = concat(yield* Stream.runCollect(content))
        yield* check
        const file = yield* putFile(store, name, bytes)
        return { size: bytes.byteLength, etag: etagOf(file) }
      })
    })
  )
}
