/**
 * What is read of a repository that an agent may have worked in: its refs and where its objects are, as files. No git runs
 * there.
 */
import { ByteSize, Effect, FileSystem, Option, Path } from "effect"

/** Where a repository is. It is found once, when the server starts: an agent may change what points there. */
export interface Repository {
  readonly gitDirectory: string
  /** Where its refs and objects are: elsewhere, of a linked working tree. */
  readonly common: string
  /** The folder of its objects, without a link in its path. */
  readonly objects: string
  /** The folders of objects that it shares with other repositories. */
  readonly alternates: ReadonlyArray<string>
}

/** What a repository has now. */
export interface GitSource extends Pick<Repository, "alternates" | "objects"> {
  /** Commits and tags by the name of their ref, such as `refs/heads/main`. */
  readonly refs: ReadonlyMap<string, string>
  /** The commit that is checked out; none before the first one. */
  readonly head: Option.Option<string>
  /** Where its history begins, of a shallow repository: the text of its file `shallow`. */
  readonly shallow: Option.Option<string>
}

const hash = /^([0-9a-f]{40}|[0-9a-f]{64})$/

const refName = /^refs\/[A-Za-z0-9._/@+-]+$/

const isRef = (name: string) => refName.test(name) && !name.includes("..") && !name.includes("//")

/** The most that is read of a file: `packed-refs` has a line for each ref. */
const maxSize = ByteSize.mebibytes(64)

/** Which folders of refs a clone has. */
const folders = ["heads", "tags", "remotes"]

/** The refs of a file `packed-refs`. */
const packedIn = (text: string): ReadonlyArray<readonly [string, string]> =>
  text.split("\n").flatMap((line) => {
    const [value = "", name = ""] = line.split(" ")
    return hash.test(value) && isRef(name) ? [[name, value] as const] : []
  })

export const make = Effect.gen(function* () {
  const fs = yield* FileSystem.FileSystem
  const path = yield* Path.Path
  /** The text of a file. What is no file is not read: the reading of a pipe would never end. */
  const readText = Effect.fnUntraced(function* (file: string) {
    const { size, type } = yield* fs.stat(file)
    if (type !== "File" || size > maxSize) return yield* Effect.fail("not read")
    return (yield* fs.readFileString(file)).trim()
  }, Effect.option)
  const isFolder = (folder: string) =>
    Effect.orElseSucceed(
      Effect.map(fs.stat(folder), ({ type }) => type === "Directory"),
      () => false
    )

  /** The git directory of a folder: in it, named by a file in it, or the folder itself where it is bare. */
  const gitDirectory = Effect.fnUntraced(function* (root: string) {
    const inside = path.join(root, ".git")
    if (yield* isFolder(inside)) return Option.some(inside)
    const pointer = yield* readText(inside)
    if (Option.isSome(pointer)) {
      const named = /^gitdir: (.+)$/.exec(pointer.value)?.[1]
      return named === undefined ? Option.none() : Option.some(path.resolve(root, named))
    }
    const isBare =
      (yield* isFolder(path.join(root, "objects"))) && Option.isSome(yield* readText(path.join(root, "HEAD")))
    return isBare ? Option.some(root) : Option.none()
  })

  /** The refs that are files of their own, below a folder. */
  const looseIn: (folder: string, name: string) => Effect.Effect<ReadonlyArray<readonly [string, string]>> =
    Effect.fnUntraced(function* (folder, name) {
      const entries = yield* Effect.orElseSucceed(fs.readDirectoryEntries(folder), () => [])
      const found = yield* Effect.forEach(entries, (entry) => {
        const [inside, ref] = [path.join(folder, entry.name), `${name}/${entry.name}`]
        if (entry.type === "Directory") return looseIn(inside, ref)
        if (entry.type !== "File" || !isRef(ref)) return Effect.succeed([])
        return Effect.map(readText(inside), (text) =>
          Option.match(
            Option.filter(text, (value) => hash.test(value)),
            {
              onNone: () => [],
              onSome: (value) => [[ref, value] as const]
            }
          )
        )
      })
      return found.flat()
    })

  /** Finds the repository of a folder; none where it is none. */
  const find = Effect.fnUntraced(function* (root: string) {
    const found = yield* gitDirectory(root)
    if (Option.isNone(found)) return Option.none<Repository>()
    const own = found.value
    const common = Option.match(yield* readText(path.join(own, "commondir")), {
      onNone: () => own,
      onSome: (named) => path.resolve(own, named)
    })
    const objects = yield* Effect.option(fs.realPath(path.join(common, "objects")))
    if (Option.isNone(objects)) return Option.none<Repository>()
    const shared = yield* readText(path.join(objects.value, "info", "alternates"))
    const alternates = Option.getOrElse(shared, () => "")
      .split("\n")
      .flatMap((line) => (line === "" || line.startsWith("#") ? [] : [path.resolve(objects.value, line)]))
    return Option.some<Repository>({ gitDirectory: own, common, objects: objects.value, alternates })
  })

  /** Whether its objects are where they were, so that no other repository is read in its place. */
  const isInPlace = Effect.fnUntraced(function* ({ common, objects }: Repository) {
    const now = yield* Effect.option(fs.realPath(path.join(common, "objects")))
    const packs = yield* Effect.option(fs.realPath(path.join(objects, "pack")))
    return (
      Option.contains(now, objects) &&
      Option.match(packs, { onNone: () => true, onSome: (at) => at === path.join(objects, "pack") })
    )
  })

  /** What a repository has now; none where it is not in its place any more. */
  const read = Effect.fnUntraced(function* (repository: Repository) {
    if (!(yield* isInPlace(repository))) return Option.none<GitSource>()
    const { alternates, common, gitDirectory: own, objects } = repository
    const packed = packedIn(Option.getOrElse(yield* readText(path.join(common, "packed-refs")), () => ""))
    const loose = yield* Effect.forEach(folders, (folder) =>
      looseIn(path.join(common, "refs", folder), `refs/${folder}`)
    )
    const refs = new Map([...packed, ...loose.flat()])
    const head = Option.flatMap(yield* readText(path.join(own, "HEAD")), (text) => {
      const name = /^ref: (.+)$/.exec(text)?.[1]
      const value = name === undefined ? text : refs.get(name)
      return value !== undefined && hash.test(value) ? Option.some(value) : Option.none()
    })
    const shallow = yield* readText(path.join(common, "shallow"))
    return Option.some<GitSource>({ objects, alternates, refs, head, shallow })
  })

  return { find, read }
})
