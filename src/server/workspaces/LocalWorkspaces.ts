/**
 * The workspaces of this machine.
 */
import { Duration, Effect, FileSystem, Layer, Option, Path } from "effect"
import { RunFailed, TooLarge } from "../../api/Errors.ts"
import type { WorkspaceMode } from "../../wire/Workspaces.ts"
import { StartFailed } from "../StartFailed.ts"
import { DataFolder } from "../storage/DataFolder.ts"
import * as RemoveTree from "../storage/RemoveTree.ts"
import { WorkingDirectories } from "../storage/WorkingDirectories.ts"
import * as GitClone from "./GitClone.ts"
import * as GitSnapshot from "./GitSnapshot.ts"
import * as GitSource from "./GitSource.ts"
import * as TreeCopy from "./TreeCopy.ts"
import { choose, unknown, unknownRef, Workspaces } from "./Workspaces.ts"

/** A folder that sessions may work in, or in a clone or a copy of. */
export interface WorkspaceRoot {
  /** 1 to 64 lower-case letters, digits, `_` and `-`. */
  readonly name: string
  /** An absolute path. */
  readonly path: string
  /** Whether sessions may work in the folder itself; not if not given. */
  readonly shared?: boolean | undefined
}

export interface Options {
  /** None if not given. */
  readonly workspaces?: ReadonlyArray<WorkspaceRoot> | undefined
}

/** A root, and the repository that it is, if it is one. */
interface Root extends WorkspaceRoot {
  readonly repository: Option.Option<GitSource.Repository>
}

const modesOf = ({ repository, shared = false }: Root): ReadonlyArray<WorkspaceMode> => [
  ...(Option.isSome(repository) ? (["clone"] as const) : []),
  "copy",
  ...(shared ? (["shared"] as const) : [])
]

/** Nothing was done, and nothing is left. */
const failed = (error: string) =>
  RunFailed.beforeWork(new RunFailed({ error, stderr: "", duration: Duration.zero, stopReason: "error" }))

export const make = Effect.fnUntraced(function* ({ workspaces = [] }: Options) {
  const fs = yield* FileSystem.FileSystem
  const path = yield* Path.Path
  const directories = yield* WorkingDirectories
  const { clones, diffs } = yield* DataFolder
  const removeTree = yield* RemoveTree.make
  const repositories = yield* GitSource.make
  const clone = yield* GitClone.make
  const copy = yield* TreeCopy.make
  const snapshot = yield* GitSnapshot.make

  const roots = new Map<string, Root>()
  for (const root of workspaces) {
    const type = yield* Effect.option(Effect.map(fs.stat(root.path), ({ type }) => type))
    if (!path.isAbsolute(root.path) || !Option.contains(type, "Directory")) {
      return yield* new StartFailed({ message: `the workspace ${root.name} is not a folder: ${root.path}` })
    }
    roots.set(root.name, { ...root, repository: yield* repositories.find(root.path) })
  }
  const names = [...roots.keys()]
  /** What the server keeps of a session, where its agent does not work. */
  const ownOf = (sessionId: string) => {
    const own = path.join(clones, sessionId)
    const inOwn = (name: string) => path.join(own, name)
    return {
      own,
      objects: inOwn("objects"),
      gitDir: inOwn("git"),
      base: inOwn("base"),
      diff: path.join(diffs, sessionId)
    }
  }

  const find = (name: string) => {
    const root = roots.get(name)
    return root === undefined ? Effect.fail(unknown(names)) : Effect.succeed(root)
  }

  const prepareClone = Effect.fnUntraced(function* (root: Root, sessionId: string, ref: string | undefined) {
    const source = Option.isNone(root.repository)
      ? Option.none<GitSource.GitSource>()
      : yield* repositories.read(root.repository.value)
    if (Option.isNone(source))
      return yield* failed(`The workspace ${root.name} is not the repository any more that it was.`)
    const target = directories.ofSession(sessionId)
    const { base, gitDir, objects } = ownOf(sessionId)
    yield* Effect.gen(function* () {
      const { commit, format } = yield* clone({ source: source.value, ref, target, objects })
      yield* snapshot.init(gitDir, format, [objects, ...source.value.alternates])
      yield* fs.writeFileString(base, commit)
    }).pipe(
      Effect.catchTags({
        NoSuchRef: () => Effect.fail(unknownRef),
        GitFailed: ({ reason }) => Effect.fail(failed(`The workspace ${root.name} could not be cloned: ${reason}`)),
        PlatformError: ({ message }) =>
          Effect.fail(failed(`The workspace ${root.name} could not be cloned: ${message}`))
      })
    )
  })

  const prepareCopy = Effect.fnUntraced(function* ({ name, path: root }: Root, sessionId: string) {
    const target = directories.ofSession(sessionId)
    const { base, gitDir } = ownOf(sessionId)
    yield* Effect.mapError(copy(root, target), ({ message }) =>
      failed(`The workspace ${name} could not be copied: ${message}`)
    )
    // Without git there is a copy all the same.
    yield* snapshot.init(gitDir, "sha1", []).pipe(
      Effect.andThen(snapshot.take(gitDir, target)),
      Effect.flatMap((tree) => fs.writeFileString(base, tree)),
      Effect.catch((error) => Effect.logWarning("a copy of a workspace will have no diff", error))
    )
  })

  const diffOf = Effect.fnUntraced(
    function* (sessionId: string) {
      const { base, gitDir } = ownOf(sessionId)
      const before = yield* Effect.option(fs.readFileString(base))
      if (Option.isNone(before)) return Option.none<string>()
      return Option.some(
        yield* snapshot.between(gitDir, before.value, yield* snapshot.take(gitDir, directories.ofSession(sessionId)))
      )
    },
    Effect.catchTags({
      GitFailed: ({ reason }) => Effect.fail(failed(`The diff could not be made: ${reason}`)),
      PlatformError: ({ message }) => Effect.fail(failed(`The diff could not be made: ${message}`))
    })
  )

  /** The closed sessions whose diff is kept. */
  const kept = new Set(yield* Effect.orDie(fs.readDirectory(diffs)))

  const keep = Effect.fnUntraced(function* (sessionId: string, diff: string) {
    yield* fs.writeFileString(ownOf(sessionId).diff, diff)
    kept.add(sessionId)
  })

  /** A diff that cannot be kept is logged: the session is closed all the same. */
  const close = Effect.fnUntraced(function* (sessionId: string) {
    yield* diffOf(sessionId).pipe(
      Effect.flatMap(Option.match({ onNone: () => Effect.void, onSome: (diff) => keep(sessionId, diff) })),
      Effect.catch((error) => Effect.logWarning("the diff of a closed session is not kept", error))
    )
    yield* removeTree(ownOf(sessionId).own)
  })

  return Workspaces.of({
    names,
    check: (workspace) => Effect.flatMap(find(workspace.name), (root) => choose(workspace, modesOf(root))),
    folderOf: ({ mode, name }) => (mode === "shared" ? roots.get(name)?.path : undefined),
    prepare: Effect.fnUntraced(function* (sessionId, workspace) {
      const { name, ref } = workspace
      const root = yield* find(name)
      const { mode } = yield* choose(workspace, modesOf(root))
      yield* directories.make(sessionId)
      if (mode === "clone") return yield* prepareClone(root, sessionId, ref ?? undefined)
      if (mode === "shared") return
      yield* prepareCopy(root, sessionId)
    }),
    diff: (sessionId) => Effect.catchTag(diffOf(sessionId), "DiffTooLarge", () => Effect.fail(new TooLarge())),
    close,
    keptDiff: (sessionId) => Effect.option(fs.readFileString(ownOf(sessionId).diff)),
    forget: (sessionId) =>
      Effect.suspend(() => (kept.delete(sessionId) ? removeTree(ownOf(sessionId).diff) : Effect.void)),
    keepOnly: Effect.fnUntraced(function* (sessionIds) {
      const gone = (yield* Effect.orDie(fs.readDirectory(clones))).filter((name) => !sessionIds.has(name))
      yield* Effect.forEach(gone, close, { discard: true })
    })
  })
})

export const layer = (options: Options) => Layer.effect(Workspaces, make(options))
