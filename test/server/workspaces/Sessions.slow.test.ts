import * as NodeServices from "@effect/platform-node/NodeServices"
import { assert, layer } from "@effect/vitest"
import { Effect, FileSystem } from "effect"
import * as DemoAgent from "../../../src/agent/DemoAgent.ts"
import { Forge, type ForgeClient, Upload } from "../../../src/index.ts"
import * as ForgeServer from "../../../src/server/ForgeServer.ts"
import * as Repository from "../../conformance/Repository.ts"
import { eventually } from "../../support/Eventually.ts"

layer(NodeServices.layer, { excludeTestServices: true, timeout: "1 minute" })("sessions in workspaces", (it) => {
  it.effect("work in a clone that goes when they close, or in the folder itself", () =>
    Effect.gen(function* () {
      const fs = yield* FileSystem.FileSystem
      const home = yield* fs.makeTempDirectoryScoped()
      const data = `${home}/data`
      const { board, repository } = Repository.make(home)
      const clone = { name: "repository", path: repository }
      const shared = { name: "board", path: board, shared: true }

      /** Runs a program on a server with these workspaces, and ends the server. */
      const onServer = <A, E>(
        workspaces: ReadonlyArray<{ readonly name: string; readonly path: string }>,
        program: Effect.Effect<A, E, ForgeClient.ForgeClient>
      ) =>
        Effect.provide(program, ForgeServer.layerEmbedded({ agents: [DemoAgent.definition], data, workspaces }), {
          local: true
        })

      const kept = yield* onServer(
        [clone, shared],
        Effect.gen(function* () {
          const cloned = yield* Forge.open({ agent: "demo", workspace: { name: "repository" } })
          yield* cloned.turn("/write new.txt hello")
          assert.strictEqual(yield* fs.readFileString(`${cloned.info.cwd}/new.txt`), "hello")
          assert.strictEqual(yield* fs.readFileString(`${cloned.info.cwd}/README.md`), "# A workspace\n")
          assert.isFalse(yield* fs.exists(`${repository}/new.txt`))
          assert.lengthOf(yield* fs.readDirectory(`${data}/clones`), 1)

          const inside = yield* Forge.open({ agent: "demo", workspace: { name: "board", mode: "shared" } })
          assert.strictEqual(inside.info.cwd, board)
          yield* inside.turn("/write new.txt hello")
          assert.strictEqual(yield* fs.readFileString(`${board}/new.txt`), "hello")
          return { cloned: cloned.id, inside: inside.id }
        })
      )

      // The operator has withdrawn the shared folder: the session waits for it, and works nowhere else.
      yield* onServer(
        [clone],
        Effect.gen(function* () {
          const inside = yield* Forge.attach(kept.inside)
          const failed = yield* Effect.flip(inside.turn("/write other.txt no"))
          assert.strictEqual(failed.message, "The workspace board is not in the server's table of workspaces.")
          const cloned = yield* Forge.attach(kept.cloned)
          yield* cloned.turn("/write again.txt hello")
          assert.strictEqual(yield* fs.readFileString(`${cloned.info.cwd}/new.txt`), "hello")
        })
      )

      yield* onServer(
        [clone, shared],
        Effect.gen(function* () {
          const inside = yield* Forge.attach(kept.inside)
          yield* inside.turn("/write other.txt hello")
          assert.strictEqual(yield* fs.readFileString(`${board}/other.txt`), "hello")
          const cloned = yield* Forge.attach(kept.cloned)
          const diff = yield* cloned.diff
          assert.include(diff, "+++ b/again.txt\n@@ -0,0 +1 @@\n+hello")
          assert.strictEqual((yield* Effect.flip(inside.diff))._tag, "ApiError")
          for (const session of [inside, cloned]) yield* session.close
          assert.strictEqual(yield* cloned.diff, diff)
          assert.isTrue(yield* fs.exists(`${board}/other.txt`))
          const left = fs
            .readDirectory(`${data}/clones`)
            .pipe(eventually("no objects of a clone", (names) => names.length === 0))
          yield* left
          assert.isFalse(yield* fs.exists(cloned.info.cwd))
        })
      )
    })
  )

  it.effect("files of a turn in a shared folder are put beside it", () =>
    Effect.gen(function* () {
      const fs = yield* FileSystem.FileSystem
      const { board } = Repository.make(yield* fs.makeTempDirectoryScoped())
      const before = yield* fs.readDirectory(board)
      yield* Effect.gen(function* () {
        const file = yield* Forge.upload(Upload.fromBytes("notes.txt", new TextEncoder().encode("Buy milk.")))
        const { text } = yield* Forge.withSession(
          { agent: "demo", workspace: { name: "board", mode: "shared" } },
          (session) => session.turn("Read it.", { files: [file.token] })
        )
        assert.include(text, "I read notes.txt: 1 line.")
      }).pipe(
        Effect.provide(
          ForgeServer.layerEmbedded({
            agents: [DemoAgent.definition],
            workspaces: [{ name: "board", path: board, shared: true }]
          })
        )
      )
      assert.deepStrictEqual(
        (yield* fs.readDirectory(board)).filter((name) => name !== ".demo-agent"),
        before
      )
    })
  )
})
