/**
 * What a session has changed in its folder, whatever tool or shell changed it.
 *
 * The folder is read by a git directory and an index that are the server's, outside of it, so that nothing an agent writes
 * decides what git does. A repository in it is read as files: git itself would show it as one line.
 */
import { Data, Effect, FileSystem, Path, type PlatformError } from "effect"
import * as Git from "./Git.ts"

/** The changes are larger than the bound. */
export class DiffTooLarge extends Data.TaggedError("DiffTooLarge") {}

/** The most bytes of a diff. */
export const maxDiff = 16 * 1024 * 1024

/** What git leaves out besides what the folder's own `.gitignore` names: the files that come with prompts. */
export const excludes = "/attachments-*/\n"

/** The empty tree of each object format. */
const emptyTree = {
  sha1: "4b825dc642cb6eb9a060e54bf8d69288fbee4904",
  sha256: "6ef19b41225c5369f1c104d45d8d85efa9b057b53b14b4b9b939dd74decc5321"
}

const decodeText = (bytes: Uint8Array): string | undefined => {
  const text = new TextDecoder("utf-8", { ignoreBOM: true }).decode(bytes)
  return text.includes("\uFFFD") ? undefined : text
}

export const make = Effect.gen(function* () {
  const fs = yield* FileSystem.FileSystem
  const path = yield* Path.Path
  const git = yield* Git.make

  /** The folders below a folder that are repositories. Links are not followed. */
  const nestedIn: (folder: string, name: string) => Effect.Effect<ReadonlyArray<string>, PlatformError.PlatformError> =
    Effect.fnUntraced(function* (folder, name) {
      const entries = yield* fs.readDirectoryEntries(path.join(folder, name))
      const folders = entries.filter((entry) => entry.type === "Directory" && entry.name !== ".git")
      const below = yield* Effect.forEach(folders, (entry) => nestedIn(folder, path.join(name, entry.name)))
      const isRepository = name !== "" && entries.some((entry) => entry.name === ".git")
      return [...(isRepository ? [name] : []), ...below.flat()]
    })

  /** Makes the git directory of a session, which has the objects of others. */
  const init = Effect.fnUntraced(function* (
    gitDir: string,
    format: "sha1" | "sha256",
    alternates: ReadonlyArray<string>
  ) {
    yield* git.text(["init", "--quiet", "--bare", "--template=", `--object-format=${format}`, gitDir])
    yield* fs.makeDirectory(path.join(gitDir, "info"), { recursive: true })
    yield* fs.writeFileString(path.join(gitDir, "info", "exclude"), excludes)
    yield* fs.makeDirectory(path.join(gitDir, "objects", "info"), { recursive: true })
    yield* fs.writeFileString(path.join(gitDir, "objects", "info", "alternates"), [...alternates, ""].join("\n"))
    return emptyTree[format]
  })

  let count = 0
  /** An index of its own, for several may be made at once. */
  const newIndex = (gitDir: string) =>
    Effect.acquireRelease(
      Effect.sync(() => path.join(gitDir, `index-${++count}`)),
      (index) => Effect.ignore(fs.remove(index, { force: true }))
    )

  /** The tree of a folder as it is. */
  const take = Effect.fnUntraced(function* (gitDir: string, folder: string) {
    const nested = yield* nestedIn(folder, "")
    const index = yield* newIndex(gitDir)
    const at = (folder: string, index: string, ...args: ReadonlyArray<string>) =>
      Effect.map(git.text([`--git-dir=${gitDir}`, `--work-tree=${folder}`, ...args], { index }), (text) => text.trim())
    const others = nested.map((name) => `:(exclude,literal)${name}`)
    yield* at(folder, index, "add", "--all", "--ignore-errors", "--", ".", ...others)
    // The outermost first: each is without those in it, which are put in their places.
    for (const name of nested) {
      const inside = path.join(folder, name)
      const ownIndex = yield* newIndex(gitDir)
      const deeper = nested
        .filter((other) => other.startsWith(`${name}/`))
        .map((other) => `:(exclude,literal)${other.slice(name.length + 1)}`)
      yield* at(inside, ownIndex, "add", "--all", "--ignore-errors", "--", ".", ...deeper)
      const tree = yield* at(inside, ownIndex, "write-tree")
      yield* at(folder, index, "read-tree", `--prefix=${name}/`, tree)
    }
    return yield* at(folder, index, "write-tree")
  }, Effect.scoped)

  /** What lies between two trees, as a patch. It is UTF-8: what is not is in the form for binary files. */
  const between = Effect.fnUntraced(
    function* (gitDir: string, before: string, after: string) {
      const patch = (...more: ReadonlyArray<string>) =>
        git.run(
          [
            `--git-dir=${gitDir}`,
            ...more,
            "diff-tree",
            "-p",
            "-r",
            "--binary",
            "--full-index",
            "--no-ext-diff",
            "--no-textconv",
            "--no-renames",
            before,
            after
          ],
          { maxBytes: maxDiff }
        )
      const text = decodeText(yield* patch())
      if (text !== undefined) return text
      const attributes = path.join(gitDir, "binary")
      yield* fs.writeFileString(attributes, "* -diff\n")
      return new TextDecoder().decode(yield* patch("-c", `core.attributesFile=${attributes}`))
    },
    Effect.catchTag("OutputTooLarge", () => Effect.fail(new DiffTooLarge()))
  )

  return { between, init, take }
})
