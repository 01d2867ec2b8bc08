import * as NodeServices from "@effect/platform-node/NodeServices"
import { assert, layer } from "@effect/vitest"
import { Context, Effect, FileSystem, Logger } from "effect"
import * as DataFolder from "../../../src/server/storage/DataFolder.ts"
import { WorkingDirectories } from "../../../src/server/storage/WorkingDirectories.ts"
import { keeping } from "./Keeping.ts"

const modeOf = (path: string) =>
  FileSystem.FileSystem.use((fs) => Effect.map(fs.stat(path), ({ mode }) => (mode & 0o777).toString(8)))

layer(NodeServices.layer)("DataFolder", (it) => {
  it.effect("the folder and its content are private to its user, also where it existed with other modes", () =>
    Effect.gen(function* () {
      const fs = yield* FileSystem.FileSystem
      const data = `${yield* fs.makeTempDirectoryScoped()}/a/b`
      yield* fs.makeDirectory(data, { recursive: true })
      yield* fs.writeFileString(`${data}/ledger.db`, "")
      for (const [name, mode] of [
        ["", 0o755],
        ["ledger.db", 0o644]
      ] as const)
        yield* fs.chmod(`${data}/${name}`, mode)
      const directories = Context.get(yield* DataFolder.make({ data }), WorkingDirectories)
      yield* directories.make("one")
      const names = ["", "agents", "runs", "uploads", "sessions", "sessions/one"]
      assert.deepStrictEqual(
        yield* Effect.forEach(names, (name) => modeOf(`${data}/${name}`)),
        names.map(() => "700")
      )
      assert.deepStrictEqual(yield* Effect.forEach(["ledger.db", "lock.db"], (name) => modeOf(`${data}/${name}`)), [
        "600",
        "600"
      ])
    })
  )

  it.effect("the folder of a server that was killed before it had a ledger is accepted", () =>
    Effect.gen(function* () {
      const fs = yield* FileSystem.FileSystem
      const data = yield* fs.makeTempDirectoryScoped()
      yield* fs.makeDirectory(`${data}/sessions`)
      yield* fs.writeFileString(`${data}/lock.db`, "")
      yield* DataFolder.make({ data })
      assert.isTrue(yield* fs.exists(`${data}/ledger.db`))
    })
  )

  it.effect("one of two servers that start at once on a new folder gets it", () =>
    Effect.gen(function* () {
      const fs = yield* FileSystem.FileSystem
      const data = `${yield* fs.makeTempDirectoryScoped()}/a/b/c`
      const start = Effect.match(DataFolder.make({ data }), {
        onFailure: ({ message }) => message,
        onSuccess: () => ""
      })
      const said = yield* Effect.all([start, start], { concurrency: 2 })
      assert.deepStrictEqual(said.toSorted(), ["", `another server is running on the data folder ${data}`])
    })
  )

  it.effect("folders that cannot be removed are logged and left", () =>
    Effect.gen(function* () {
      const fs = yield* FileSystem.FileSystem
      const data = yield* fs.makeTempDirectoryScoped()
      const logged: Array<unknown> = []
      const logger = Logger.layer([Logger.make(({ message }) => logged.push([message].flat()[0]))])
      const left = yield* Effect.gen(function* () {
        const directories = Context.get(yield* DataFolder.make({ data }), WorkingDirectories)
        yield* directories.make("one")
        yield* directories.remove("one")
        const run = yield* Effect.scoped(directories.ofRun)
        yield* directories.keepOnly(new Set())
        yield* directories.removeRuns
        const { temporary = "" } = Context.get(yield* Effect.scoped(DataFolder.make({})), DataFolder.DataFolder)
        const session = directories.ofSession("one")
        return [session, run, session, run, temporary]
      }).pipe(
        keeping(() => Effect.succeed(true)),
        Effect.provide(logger)
      )
      yield* Effect.forEach(new Set(left), (folder) => fs.remove(folder, { recursive: true }))
      assert.deepStrictEqual(
        logged,
        left.map((folder) => `${folder} could not be removed`)
      )
    })
  )

  it.effect("a working directory that an agent replaced by a file is created again", () =>
    Effect.gen(function* () {
      const fs = yield* FileSystem.FileSystem
      const directories = Context.get(
        yield* DataFolder.make({ data: yield* fs.makeTempDirectoryScoped() }),
        WorkingDirectories
      )
      yield* fs.writeFileString(directories.ofSession("one"), "")
      yield* directories.make("one")
      assert.deepStrictEqual(yield* fs.readDirectory(directories.ofSession("one")), [])
    })
  )
})
