/**
 * A clone for one session: refs, configuration and hooks of its own, detached at a commit.
 *
 * It has the root's objects by links to their files, in a folder that is the server's: what a `git gc` in the root removes
 * stays there for as long as the session is open.
 */
import { Data, Effect, FileSystem, Option, Path, Schedule } from "effect"
import * as Git from "./Git.ts"
import { excludes } from "./GitSnapshot.ts"
import type { GitSource } from "./GitSource.ts"

/** The root has no such branch, tag or commit. */
export class NoSuchRef extends Data.TaggedError("NoSuchRef") {}

export interface Options {
  readonly source: GitSource
  readonly ref: string | undefined
  /** The folder of the session, which is empty. */
  readonly target: string
  /** The folder for the objects. */
  readonly objects: string
}

const objectFolder = /^[0-9a-f]{2}$/
const objectFile = /^[0-9a-f]{38}([0-9a-f]{24})?$/
const packFile = /\.(pack|idx|rev|bitmap)$/

/** What a clone is of. */
export interface Cloned {
  readonly commit: string
  readonly format: "sha1" | "sha256"
}

/** How many files are linked at a time. */
const concurrency = 32

export const make = Effect.gen(function* () {
  const fs = yield* FileSystem.FileSystem
  const path = yield* Path.Path
  const git = yield* Git.make

  /** Links a file, or copies it where it is on another disk. */
  const linkFile = (from: string, to: string) =>
    Effect.catchIf(
      fs.link(from, to),
      ({ reason }) => reason._tag !== "NotFound" && reason._tag !== "AlreadyExists",
      () => fs.copyFile(from, to)
    ).pipe(
      Effect.catchIf(
        ({ reason }) => reason._tag === "AlreadyExists",
        () => Effect.void
      )
    )

  const linkIn = Effect.fnUntraced(function* (from: string, to: string, isObject: (name: string) => boolean) {
    yield* fs.makeDirectory(to, { recursive: true })
    const names = (yield* Effect.orElseSucceed(fs.readDirectory(from), () => [])).filter(isObject)
    yield* Effect.forEach(names, (name) => linkFile(path.join(from, name), path.join(to, name)), {
      concurrency,
      discard: true
    })
  })

  /** A `git gc` may replace files while they are linked: what it made of them is linked then. */
  const linkObjects = Effect.fnUntraced(
    function* (from: string, to: string) {
      const folders = (yield* fs.readDirectory(from)).filter((name) => objectFolder.test(name))
      for (const name of folders)
        yield* linkIn(path.join(from, name), path.join(to, name), (file) => objectFile.test(file))
      yield* linkIn(path.join(from, "pack"), path.join(to, "pack"), (name) => packFile.test(name))
    },
    Effect.retry({ while: ({ reason }) => reason._tag === "NotFound", schedule: Schedule.recurs(3) })
  )

  /** The branches of the root are those of the remote `origin`. */
  const refsOf = ({ refs }: GitSource) =>
    [...refs]
      .filter(([name]) => name.startsWith("refs/heads/") || name.startsWith("refs/tags/"))
      .map(([name, value]) => [name.replace(/^refs\/heads\//, "refs/remotes/origin/"), value] as const)
      .toSorted(([a], [b]) => (a < b ? -1 : 1))

  const resolve = Effect.fnUntraced(function* (gitDir: string, { ref, source }: Options) {
    const candidates =
      ref === undefined
        ? Option.toArray(source.head)
        : [`refs/remotes/origin/${ref}`, `refs/tags/${ref}`, ...(/^[0-9a-f]{7,64}$/.test(ref) ? [ref] : [])]
    const found = yield* Effect.findFirst(
      candidates.map((candidate) => ["rev-parse", "--verify", "--quiet", "--end-of-options", `${candidate}^{commit}`]),
      (args) => Effect.isSuccess(git.text([`--git-dir=${gitDir}`, ...args]))
    )
    if (Option.isNone(found)) return yield* new NoSuchRef()
    return (yield* git.text([`--git-dir=${gitDir}`, ...found.value])).trim()
  })

  return Effect.fnUntraced(function* (options: Options) {
    const { objects, source, target } = options
    const gitDir = path.join(target, ".git")
    const isSha256 = Option.exists(source.head, ({ length }) => length === 64)
    yield* linkObjects(source.objects, objects)
    yield* git.text([
      "init",
      "--quiet",
      "--template=",
      "--initial-branch=main",
      `--object-format=${isSha256 ? "sha256" : "sha1"}`,
      target
    ])
    const write = (name: string, text: string) => fs.writeFileString(path.join(gitDir, name), text)
    yield* fs.makeDirectory(path.join(gitDir, "info"), { recursive: true })
    yield* fs.makeDirectory(path.join(gitDir, "objects", "info"), { recursive: true })
    yield* write("info/exclude", excludes)
    yield* write("objects/info/alternates", [objects, ...source.alternates, ""].join("\n"))
    if (Option.isSome(source.shallow)) yield* write("shallow", `${source.shallow.value}\n`)
    const packed = refsOf(source).map(([name, value]) => `${value} ${name}\n`)
    yield* write("packed-refs", `# pack-refs with: sorted \n${packed.join("")}`)
    const commit = yield* resolve(gitDir, options)
    yield* git.text([`--git-dir=${gitDir}`, `--work-tree=${target}`, "checkout", "--quiet", "--detach", commit])
    const cloned: Cloned = { commit, format: isSha256 ? "sha256" : "sha1" }
    return cloned
  })
})
