/**
 * A user's project with the package installed: built, packed and unpacked, with the peers it needs.
 */
import { Context, Effect, FileSystem, Layer, Path } from "effect"
import { copyOfProject, run } from "./Workspace.ts"

/** The peers of the entries other than the client. */
export const peers = ["@effect/platform-node", "@agentclientprotocol/sdk", "zod"]

const tsconfig = {
  compilerOptions: {
    target: "es2024",
    lib: ["es2024", "dom", "dom.iterable", "esnext.disposable"],
    module: "nodenext",
    types: ["node"],
    strict: true,
    exactOptionalPropertyTypes: true,
    noUncheckedIndexedAccess: true,
    noEmit: true
  },
  include: ["${configDir}/*.ts"]
}

export class Consumer extends Context.Service<
  Consumer,
  {
    /** The user's folder. */
    readonly root: string
    /** What is in the tarball. */
    readonly packed: ReadonlyArray<string>
    /** Makes a package of the project's node_modules visible to the user's project, as an install would. */
    readonly install: (name: string) => Effect.Effect<void>
  }
>()("test/house/Consumer") {
  static readonly layer = Layer.effect(
    Consumer,
    Effect.gen(function* () {
      const fs = yield* FileSystem.FileSystem
      const path = yield* Path.Path
      const project = yield* copyOfProject
      const root = yield* fs.makeTempDirectoryScoped({ prefix: "consumer-" })
      const modules = `${root}/node_modules`
      const unpacked = `${modules}/effect-clawdforge`
      yield* fs.makeDirectory(unpacked, { recursive: true })

      // With its own cache, since the home folder may not be writable.
      const cache = yield* fs.makeTempDirectoryScoped({ prefix: "npm-" })
      const pack = yield* run(project, "npm", ["pack", "--silent", "--cache", cache, "--pack-destination", root])
      if (pack.code !== 0) return yield* Effect.die(`npm pack: ${pack.output}`)
      const tarball = (yield* fs.readDirectory(root)).find((name) => name.endsWith(".tgz")) ?? "no tarball"
      const unpack = yield* run(root, "tar", ["-xvzf", tarball, "-C", unpacked, "--strip-components=1"])
      if (unpack.code !== 0) return yield* Effect.die(`tar: ${unpack.output}`)

      const install = Effect.fn("Consumer.install")(function* (name: string) {
        if (yield* fs.exists(`${modules}/${name}`)) return
        yield* fs.makeDirectory(path.dirname(`${modules}/${name}`), { recursive: true })
        yield* fs.symlink(yield* fs.realPath(`node_modules/${name}`), `${modules}/${name}`)
      }, Effect.orDie)

      yield* fs.writeFileString(`${root}/package.json`, JSON.stringify({ name: "consumer", type: "module" }))
      yield* fs.writeFileString(`${root}/tsconfig.json`, JSON.stringify(tsconfig))
      for (const name of ["effect", "@types/node"]) yield* install(name)
      return Consumer.of({
        root,
        packed: unpack.output
          .trim()
          .split("\n")
          .map((name) => name.replace(/^package\//, "")),
        install
      })
    })
  )
}
