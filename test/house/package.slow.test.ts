import * as NodeServices from "@effect/platform-node/NodeServices"
import { assert, describe, it, layer } from "@effect/vitest"
import { Effect, FileSystem, Layer } from "effect"
import manifest from "../../package.json" with { type: "json" }
import { Consumer, peers } from "./Consumer.ts"
import { run } from "./Workspace.ts"

const entries = Object.entries(manifest.exports).flatMap(([name, target]) =>
  typeof target === "string" ? [] : [{ name: name.replace(/^\./, "effect-clawdforge"), target }]
)

const needsPeers = /\/(node|testing|server)$/

/** A module of types alone exports nothing at run time, but has to be there all the same. */
const program = (names: ReadonlyArray<string>) => `
${names.map((name, at) => `import * as entry${at} from "${name}"`).join("\n")}

export type Entries = [${names.map((_, at) => `typeof entry${at}`).join(", ")}]
`

describe("package.json", () => {
  it.live("exports every module of the client by its name, and no missing file", () =>
    Effect.gen(function* () {
      const fs = yield* FileSystem.FileSystem
      const files = (yield* fs.readDirectory("src", { recursive: true })).filter((name) =>
        /^([^/]+|(node|testing|server)\/index)\.ts$/.test(name)
      )
      for (const file of files) {
        const name = `./${file.replace(/\.ts$/, "")}`.replace(/\/index$/, "")
        assert.property(manifest.exports, name, `src/${file} is public: give it an entry in package.json`)
      }
      for (const { name, target } of entries) {
        const file = target.default.replace(/^\.\/dist\/(.*)\.js$/, "src/$1.ts")
        assert.isTrue(yield* fs.exists(file), `${name} is exported, and ${file} is not there`)
        assert.strictEqual(target.types, target.default.replace(/\.js$/, ".d.ts"))
      }
    }).pipe(Effect.provide(NodeServices.layer))
  )

  it.live("has a lock file without registry addresses", () =>
    Effect.gen(function* () {
      const fs = yield* FileSystem.FileSystem
      assert.notInclude(yield* fs.readFileString("package-lock.json"), `"resolved"`)
    }).pipe(Effect.provide(NodeServices.layer))
  )
})

layer(Consumer.layer.pipe(Layer.provideMerge(NodeServices.layer)), {
  timeout: "4 minutes",
  excludeTestServices: true
})("the package", (it) => {
  it.effect("holds the built files, and nothing else", () =>
    Effect.gen(function* () {
      const { packed } = yield* Consumer
      const others = packed.filter((name) => !/^dist\/.*\.(js|js\.map|d\.ts)$/.test(name))
      assert.includeMembers(["LICENSE", "README.md", "package.json"], others)
      assert.include(others, "LICENSE")
      assert.include(packed, "dist/index.js")
    })
  )

  it.effect("has the client for a project with effect alone", () =>
    Effect.gen(function* () {
      const fs = yield* FileSystem.FileSystem
      const { root } = yield* Consumer
      const names = entries.map(({ name }) => name).filter((name) => !needsPeers.test(name))
      yield* fs.writeFileString(`${root}/client.ts`, program(names))
      assert.deepStrictEqual(yield* run(root, process.execPath, ["client.ts"]), { code: 0, output: "" })
    })
  )

  it.effect("has every entry, with its types, for a project with the peers", () =>
    Effect.gen(function* () {
      const fs = yield* FileSystem.FileSystem
      const { install, root } = yield* Consumer
      yield* Effect.forEach(peers, install)
      yield* fs.writeFileString(`${root}/all.ts`, program(entries.map(({ name }) => name)))
      assert.deepStrictEqual(yield* run(root, process.execPath, ["all.ts"]), { code: 0, output: "" })
      assert.deepStrictEqual(yield* run(".", "node_modules/.bin/tsc", ["-p", root]), { code: 0, output: "" })
    })
  )

  it.effect("has a forge command that runs a session with the demo agent", () =>
    Effect.gen(function* () {
      const fs = yield* FileSystem.FileSystem
      const { install, root } = yield* Consumer
      yield* Effect.forEach(peers, install)
      const bin = `node_modules/effect-clawdforge/${manifest.bin.forge}`
      assert.match(yield* fs.readFileString(`${root}/${bin}`), /^#!\/usr\/bin\/env node\n/)

      const version = yield* run(root, process.execPath, [bin, "--version"])
      assert.include(version.output, manifest.version)
      const older = `Object.defineProperty(process, "versions", { value: { ...process.versions, node: "20.20.2" } })`
      const refused = yield* run(root, process.execPath, ["--import", `data:text/javascript,${older}`, bin, "--help"])
      const needed = `Node ${manifest.engines.node.replace(">=", "")} or newer is needed, and this is Node 20.20.2`
      assert.deepStrictEqual(refused, { code: 2, output: `forge: ${needed}\n` })
      const demo = yield* run(root, process.execPath, [
        bin,
        "demo",
        "Remember the word heliotrope.",
        "Which word was it?"
      ])
      assert.strictEqual(demo.code, 0, demo.output)
      assert.match(demo.output, /heliotrope[^]*Which word was it[^]*heliotrope/)
    })
  )

  it.effect("does not export its inner modules", () =>
    Effect.gen(function* () {
      const { root } = yield* Consumer
      for (const name of ["wire/Ids", "internal/failure/ResponseFailure", "dist/index.js"]) {
        const closed = yield* run(root, process.execPath, ["-e", `import("effect-clawdforge/${name}")`])
        assert.include(closed.output, "ERR_PACKAGE_PATH_NOT_EXPORTED")
      }
    })
  )
})
