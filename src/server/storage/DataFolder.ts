/**
 * The folder with all data of a server: its ledger, the uploads of its apps, and the working directories of open sessions
 * and of runs.
 *
 * Only its user can read it, and only one server at a time can use it.
 */
import { Context, Effect, FileSystem, Layer, Path, type PlatformError, Predicate } from "effect"
import { DatabaseSync } from "node:sqlite"
import { StartFailed } from "../StartFailed.ts"
import * as RemoveTree from "./RemoveTree.ts"
import { WorkingDirectories } from "./WorkingDirectories.ts"

export class DataFolder extends Context.Service<
  DataFolder,
  {
    /** The folder itself, if it is a temporary one. */
    readonly temporary: string | undefined
    readonly ledger: string
    /** The folder of uploads; no agent works in it. */
    readonly uploads: string
    /** The file that holds the id of this server. */
    readonly owner: string
    /** The file that holds the key of sealed secrets. */
    readonly key: string
    /** The folder of the records of running agents. */
    readonly agents: string
    /** The folder of the server's own git directories, one for each session. */
    readonly clones: string
    /** The folder of the diffs of closed sessions. */
    readonly diffs: string
  }
>()("effect-clawdforge/server/storage/DataFolder") {}

export interface Options {
  /** The path of the folder; a temporary one, removed with the server, if not given. */
  readonly data?: string | undefined
}

const folderMode = 0o700
const fileMode = 0o600

/** SQLite's code for a database that another connection has locked. */
const busy = 5

/**
 * Holds a transaction on a separate database for as long as the server lives. The system releases it however the process
 * ends, and a second server fails at once.
 */
const lock = (file: string, folder: string) =>
  Effect.acquireRelease(
    Effect.try(() => new DatabaseSync(file, { timeout: 0 })),
    (database) => Effect.sync(() => database.close())
  ).pipe(
    Effect.flatMap((database) => Effect.try(() => database.exec("BEGIN EXCLUSIVE"))),
    Effect.mapError(({ cause }) => {
      const taken = Predicate.hasProperty(cause, "errcode") && cause.errcode === busy
      const message = taken
        ? `another server is running on the data folder ${folder}`
        : `the data folder ${folder} cannot be used: its lock.db cannot be locked`
      return new StartFailed({ message, cause })
    })
  )

/** Leaves what exists already as it is. */
const unlessExists = (making: Effect.Effect<void, PlatformError.PlatformError>) =>
  Effect.catchIf(
    making,
    ({ reason }) => reason._tag === "AlreadyExists",
    () => Effect.void
  )

/**
 * Creates a folder and its parents. Node's recursive `mkdir` never returns where no folder can be created, such as in
 * /proc.
 */
const makeFolders = Effect.fnUntraced(function* (
  fs: FileSystem.FileSystem,
  path: Path.Path,
  folder: string
): Effect.fn.Return<void, PlatformError.PlatformError> {
  if (yield* fs.exists(folder)) return
  yield* makeFolders(fs, path, path.dirname(folder))
  yield* unlessExists(fs.makeDirectory(folder, { mode: folderMode }))
})

const folderFailures: Readonly<Record<string, string>> = {
  BadResource: "it is not a folder",
  NotFound: "no folder can be made there",
  PermissionDenied: "this user may not write there"
}

const unusable =
  ({ data }: Options) =>
  (cause: PlatformError.PlatformError) => {
    const folder = data === undefined ? "a temporary data folder" : `the data folder ${data}`
    const { _tag, cause: system } = cause.reason
    const why = folderFailures[_tag] ?? (Predicate.isError(system) ? system.message : cause.message)
    return new StartFailed({ message: `${folder} cannot be used: ${why}`, cause })
  }

/** What a server creates before its ledger, and leaves if it is killed at that moment. */
const createdFirst: ReadonlySet<string> = new Set(["sessions", "lock.db"])

/** Protects a folder that was named by mistake: its modes would be changed and its files removed. */
const refuseForeign = Effect.fnUntraced(function* (fs: FileSystem.FileSystem, folder: string, ledger: string) {
  if (!(yield* fs.exists(folder)) || (yield* fs.exists(ledger))) return
  const names = yield* fs.readDirectory(folder)
  if (names.every((name) => createdFirst.has(name))) return
  return yield* new StartFailed({
    message: `${folder} is not a data folder of clawdforge: it is not empty, and has no ledger.db`
  })
})

export const make = Effect.fnUntraced(
  function* (options: Options) {
    const fs = yield* FileSystem.FileSystem
    const path = yield* Path.Path
    const removeTree = yield* RemoveTree.make
    const temporary = (where: { readonly directory?: string; readonly prefix: string }) =>
      Effect.acquireRelease(fs.makeTempDirectory(where), removeTree)
    const folder = options.data === undefined ? yield* temporary({ prefix: "clawdforge-" }) : path.resolve(options.data)
    const sessions = path.join(folder, "sessions")
    const uploads = path.join(folder, "uploads")
    const agents = path.join(folder, "agents")
    const runs = path.join(folder, "runs")
    const clones = path.join(folder, "clones")
    const diffs = path.join(folder, "diffs")
    const ledger = path.join(folder, "ledger.db")
    const lockFile = path.join(folder, "lock.db")

    yield* refuseForeign(fs, folder, ledger)
    yield* makeFolders(fs, path, sessions)
    yield* fs.chmod(folder, folderMode)
    // SQLite would create them with the default mode. No other user gets into the folder before they have their own.
    for (const file of [lockFile, ledger]) {
      // One that exists is not opened: a process that closes a file loses all its locks on it, including those of another
      // server in the process. SQLite takes care of that.
      yield* unlessExists(fs.writeFileString(file, "", { flag: "wx" }))
      yield* fs.chmod(file, fileMode)
    }
    yield* lock(lockFile, folder)
    const makeFolder = (folder: string) => fs.makeDirectory(folder, { recursive: true, mode: folderMode })
    for (const each of [agents, clones, diffs, runs, uploads]) yield* makeFolder(each)

    const ofSession = (sessionId: string) => path.join(sessions, sessionId)
    const removeAllBut = Effect.fnUntraced(
      function* (folder: string, names: ReadonlySet<string>) {
        const gone = (yield* fs.readDirectory(folder)).filter((name) => !names.has(name))
        yield* Effect.forEach(gone, (name) => removeTree(path.join(folder, name)), { discard: true })
      },
      Effect.mapError(unusable(options))
    )
    const dataFolder = DataFolder.of({
      temporary: options.data === undefined ? folder : undefined,
      ledger,
      owner: path.join(folder, "owner"),
      key: path.join(folder, "key"),
      uploads,
      agents,
      clones,
      diffs
    })
    const directories = WorkingDirectories.of({
      ofSession,
      make: Effect.fnUntraced(function* (sessionId) {
        const folder = ofSession(sessionId)
        const otherwise = Effect.andThen(removeTree(folder), makeFolder(folder))
        yield* Effect.catch(makeFolder(folder), () => otherwise)
      }, Effect.orDie),
      remove: (sessionId) => removeTree(ofSession(sessionId)),
      keepOnly: (sessionIds) => removeAllBut(sessions, sessionIds),
      removeRuns: removeAllBut(runs, new Set()),
      ofRun: Effect.orDie(temporary({ directory: runs, prefix: "run-" }))
    })
    return Context.mergeAll(Context.make(DataFolder, dataFolder), Context.make(WorkingDirectories, directories))
  },
  (make, options) => Effect.catchTag(make, "PlatformError", (cause) => unusable(options)(cause))
)

export const layer = (options: Options) => Layer.effectContext(make(options))
