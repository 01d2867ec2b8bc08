import * as NodeServices from "@effect/platform-node/NodeServices"
import { assert, describe, it } from "@effect/vitest"
import { Effect, FileSystem } from "effect"
import { copyOf, run } from "./Workspace.ts"

/** A file for each thing that `check` must reject, and the part of it that must do so. */
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

// That it is green as it is, is what `npm test` begins with.
describe("npm run check", () => {
  it.live("looks at every file, and is red for a floating effect, a floating promise and a forbidden import", () =>
    Effect.gen(function* () {
      const fs = yield* FileSystem.FileSystem
      // As little as there can be, since each part of it takes longer the more there is to look at.
      const root = yield* copyOf(["src/wire", "test/house"])
      for (const { path, text } of planted) yield* fs.writeFileString(`${root}/${path}`, text)
      const { code, output } = yield* run(root, "npm", ["run", "check"])
      assert.strictEqual(code, 1)
      for (const { part, path } of planted) {
        assert.include(redParts(output), part)
        assert.include(outputOf(output, part), path)
      }
      // One that no check has anything against.
      assert.notInclude(redParts(output), "check:format")

      const inFolders = yield* Effect.forEach(["src", "test"], (folder) =>
        fs.readDirectory(`${root}/${folder}`, { recursive: true })
      )
      const files = [...inFolders.flat(), "vitest.config.ts"].filter((name) => name.endsWith(".ts"))
      assert.include(outputOf(output, "check:effect"), `Checked ${files.length} files out of ${files.length} files.`)
    }).pipe(Effect.provide(NodeServices.layer))
  )
})
