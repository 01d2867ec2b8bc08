import * as NodeCrypto from "@effect/platform-node/NodeCrypto"
import { assert, layer } from "@effect/vitest"
import { Effect, Exit, FileSystem, Layer, Stream } from "effect"
import * as NodeServices from "@effect/platform-node/NodeServices"
import * as Fs from "node:fs/promises"
import { FileNotFound, TooLarge } from "../../../src/api/Errors.ts"
import { Folders } from "../../../src/server/folders/Folders.ts"
import * as LinuxFolders from "../../../src/server/folders/LinuxFolders.ts"

const services = Layer.provideMerge(LinuxFolders.layer, Layer.merge(NodeCrypto.layer, NodeServices.layer))

const bytes = (text: string) => Stream.make(new TextEncoder().encode(text))

/** A folder of a session, with a secret beside it. */
const make = Effect.gen(function* () {
  const fs = yield* FileSystem.FileSystem
  const folders = yield* Folders
  const home = yield* fs.makeTempDirectoryScoped()
  const folder = `${home}/session`
  yield* fs.makeDirectory(`${folder}/in`, { recursive: true })
  yield* fs.makeDirectory(`${home}/outside`)
  yield* fs.writeFileString(`${home}/outside/secret`, "canary")
  yield* fs.writeFileString(`${folder}/in/own`, "own")
  const read = (path: string) =>
    folders.open(folder, path).pipe(
      Effect.flatMap(({ read, size }) => Stream.mkString(Stream.decodeText(read(0, size)))),
      Effect.scoped
    )
  const write = (path: string, text: string) => folders.write(folder, { path, condition: {}, content: bytes(text) })
  const list = (path = "", depth = 32) => folders.list(folder, { path, depth })
  const secret = fs.readFileString(`${home}/outside/secret`)
  return { folder, folders, fs, home, list, read, secret, write }
})

const problemOf = (exit: Exit.Exit<unknown, unknown>): string =>
  Exit.match(exit, { onFailure: (cause) => JSON.stringify(cause), onSuccess: (value) => `succeeded: ${String(value)}` })

layer(services)("the files in a folder", (it) => {
  it.effect("are not reached through a link, wherever it stands and leads", () =>
    Effect.gen(function* () {
      const { folder, fs, home, list, read, secret, write } = yield* make
      yield* fs.symlink(`${home}/outside`, `${folder}/out`)
      yield* fs.symlink("../../outside/secret", `${folder}/in/secret`)
      yield* fs.symlink("in", `${folder}/same`)
      yield* fs.symlink(`${home}/none`, `${folder}/dangling`)
      const uses: ReadonlyArray<Effect.Effect<unknown, unknown>> = [
        ...["out", "out/secret", "in/secret", "same/own", "dangling"].map(read),
        ...["out/x", "same/x", "dangling/x"].map((path) => write(path, "x")),
        ...["out", "same"].map((path) => list(path))
      ]
      for (const use of uses) assert.include(problemOf(yield* Effect.exit(use)), "goes through a link")
      assert.strictEqual(yield* secret, "canary")
      assert.isFalse(yield* fs.exists(`${home}/outside/x`))
      const { entries } = yield* list()
      assert.deepStrictEqual(
        entries.filter(({ kind }) => kind === "link").map(({ path }) => path),
        ["dangling", "in/secret", "out", "same"]
      )
    })
  )

  it.effect("a link in the place of a file is replaced, and what it leads to is not", () =>
    Effect.gen(function* () {
      const { folder, fs, home, read, secret, write } = yield* make
      yield* fs.symlink(`${home}/outside/secret`, `${folder}/a`)
      yield* write("a", "own")
      assert.deepStrictEqual([yield* read("a"), yield* secret], ["own", "canary"])
    })
  )

  it.effect("are those of the folder itself, though a link is put in its place", () =>
    Effect.gen(function* () {
      const { folder, fs, home, list, read, write } = yield* make
      yield* fs.rename(folder, `${home}/moved`)
      yield* fs.symlink(`${home}/outside`, folder)
      const uses: ReadonlyArray<Effect.Effect<unknown, unknown>> = [read("secret"), write("x", "x"), list()]
      for (const use of uses) {
        assert.deepStrictEqual(yield* Effect.flip(use), new FileNotFound())
      }
      assert.isFalse(yield* fs.exists(`${home}/outside/x`))
    })
  )

  it.effect(
    "a folder that is swapped for a link all the time gives nothing from outside, and takes nothing there",
    () =>
      Effect.gen(function* () {
        const { folder, fs, home, list, read, write } = yield* make
        yield* fs.makeDirectory(`${folder}/swap`)
        yield* fs.writeFileString(`${folder}/swap/secret`, "own")
        yield* fs.symlink(`${home}/outside`, `${folder}/link`)
        const swap = Effect.promise(async () => {
          await Fs.rename(`${folder}/swap`, `${folder}/aside`)
          await Fs.rename(`${folder}/link`, `${folder}/swap`)
          await Fs.rename(`${folder}/swap`, `${folder}/link`)
          await Fs.rename(`${folder}/aside`, `${folder}/swap`)
        })
        const swapping = yield* Effect.forkChild(Effect.forever(swap))
        const seen = new Set<string>()
        let succeeded = 0
        for (let index = 0; index < 400 || succeeded === 0; index++) {
          const text = yield* Effect.exit(read("swap/secret"))
          if (Exit.isSuccess(text)) {
            succeeded++
            seen.add(text.value)
          }
          yield* Effect.exit(write("swap/written", "x"))
          yield* Effect.exit(list("swap"))
        }
        yield* Effect.sync(() => swapping.interruptUnsafe())
        assert.deepStrictEqual([...seen], ["own"])
        assert.deepStrictEqual(yield* fs.readDirectory(`${home}/outside`), ["secret"])
      })
  )

  it.effect("names that are not UTF-8 are counted, and a list is cut where it is too long", () =>
    Effect.gen(function* () {
      const { folder, list } = yield* make
      yield* Effect.promise(() =>
        Fs.writeFile(Buffer.concat([Buffer.from(`${folder}/`), Buffer.from([0xff, 0x61])]), "")
      )
      const { entries, truncated, unlisted } = yield* list("", 1)
      assert.deepStrictEqual([entries.map(({ path }) => path), truncated, unlisted], [["in"], false, 1])
      yield* Effect.promise(async () => {
        await Fs.mkdir(`${folder}/many`)
        for (let index = 0; index < 10_001; index++) await Fs.writeFile(`${folder}/many/${index}`, "")
      })
      const many = yield* list("many", 1)
      assert.deepStrictEqual([many.entries.length, many.truncated], [10_000, true])
    })
  )

  it.effect("a write that fails leaves what was there, and nothing beside it; one that replaces keeps the mode", () =>
    Effect.gen(function* () {
      const { folder, folders, fs, read, write } = yield* make
      yield* fs.chmod(`${folder}/in/own`, 0o755)
      const content = Stream.concat(bytes("half"), Stream.fail(new TooLarge()))
      const failed = folders.write(folder, { path: "in/own", condition: {}, content })
      assert.deepStrictEqual(yield* Effect.flip(failed), new TooLarge())
      assert.deepStrictEqual([yield* read("in/own"), yield* fs.readDirectory(`${folder}/in`)], ["own", ["own"]])
      yield* write("in/own", "new")
      assert.strictEqual((yield* fs.stat(`${folder}/in/own`)).mode & 0o777, 0o755)
    })
  )

  it.effect("a file that is read stays the same one, though another takes its place", () =>
    Effect.gen(function* () {
      const { folder, folders, write } = yield* make
      yield* write("a", "first")
      const text = yield* Effect.scoped(
        Effect.gen(function* () {
          const { read, size } = yield* folders.open(folder, "a")
          yield* write("a", "second")
          return yield* Stream.mkString(Stream.decodeText(read(0, size)))
        })
      )
      assert.strictEqual(text, "first")
    })
  )
})
