import * as NodeServices from "@effect/platform-node/NodeServices"
import { assert, describe, it } from "@effect/vitest"
import { Effect, FileSystem } from "effect"
import { copyOfProject, run } from "./Workspace.ts"

/** A file for each thing that `check` must not let pass, and the part of it that must say so. */
const planted = [
  {
    part: "check:effect",
    path: "src/PlantedEffect.ts",
    text: `import { Effect } from "effect"

export const planted = (): void => {
  Effect.log("never run")
}
`
  },
  {
    part: "check:lint",
    path: "src/PlantedPromise.ts",
    text: `export const planted = (promise: Promise<void>): void => {
  promise.then(() => undefined)
}
`
  },
  {
    part: "check:house",
    path: "src/PlantedImport.ts",
    text: `export { readFileSync as planted } from "node:fs"
`
  }
]

const redParts = (output: string) =>
  output
    .match(/^red: (.*)$/m)?.[1]
    ?.split(", ")
    .sort() ?? []

/** What one part of `check` printed, below the line that says that it is red. */
const outputOf = (output: string, part: string) =>
  output.split(/^(?=ok {2}|RED|red:)/m).find((lines) => lines.startsWith(`RED ${part}`)) ?? ""

describe("npm run check", () => {
  it.live(
    "is green as it is, and red for a floating effect, a floating promise and a forbidden import",
    () =>
      Effect.gen(function* () {
        const fs = yield* FileSystem.FileSystem
        const root = yield* copyOfProject

        const before = yield* run(root, "npm", ["run", "check"])
        assert.deepStrictEqual(redParts(before.output), [])
        assert.strictEqual(before.code, 0)

        for (const { path, text } of planted) yield* fs.writeFileString(`${root}/${path}`, text)
        const after = yield* run(root, "npm", ["run", "check"])
        assert.strictEqual(after.code, 1)
        assert.deepStrictEqual(redParts(after.output), planted.map(({ part }) => part).sort())
        for (const { part, path } of planted) assert.include(outputOf(after.output, part), path)
      }).pipe(Effect.provide(NodeServices.layer)),
    60_000
  )

  it.live("has the Effect diagnostics look at every file", () =>
    Effect.gen(function* () {
      const fs = yield* FileSystem.FileSystem
      const inFolders = yield* Effect.forEach(["src", "test"], (folder) =>
        fs.readDirectory(folder, { recursive: true })
      )
      const files = [...inFolders.flat(), "vitest.config.ts"].filter((name) => name.endsWith(".ts"))

      const { output } = yield* run(".", "npm", ["run", "check:effect"])
      assert.include(output, `Checked ${files.length} files out of ${files.length} files.`)
    }).pipe(Effect.provide(NodeServices.layer))
  )
})
