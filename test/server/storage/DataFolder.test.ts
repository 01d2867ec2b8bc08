import * as NodeServices from "@effect/platform-node/NodeServices"
import { assert, layer } from "@effect/vitest"
import { Effect, FileSystem, Logger } from "effect"
import * as DataFolder from "../../../src/server/storage/DataFolder.ts"
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
      const folder = yield* DataFolder.make({ data })
      yield* folder.makeWorkingDirectory("one")
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
        const folder = yield* DataFolder.make({ data })
        yield* folder.makeWorkingDirectory("one")
        yield* folder.removeWorkingDirectory("one")
        const run = yield* Effect.scoped(folder.runDirectory)
        yield* folder.keepWorkingDirectories(new Set())
        yield* folder.removeRuns
        const { temporary = "" } = yield* Effect.scoped(DataFolder.make({}))
        const session = folder.workingDirectory("one")
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
      const folder = yield* DataFolder.make({ data: yield* fs.makeTempDirectoryScoped() })
      yield* fs.writeFileString(folder.workingDirectory("one"), "")
      yield* folder.makeWorkingDirectory("one")
      assert.deepStrictEqual(yield* fs.readDirectory(folder.workingDirectory("one")), [])
    })
  )
})
