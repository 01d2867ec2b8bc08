import { assert, describe, it } from "@effect/vitest"
import { globSync, readFileSync } from "node:fs"
import { matchesGlob } from "node:path"
import manifest from "../../package.json" with { type: "json" }
import config from "../../vitest.config.ts"
import { parse, readAll } from "./SourceFile.ts"
import * as TestFiles from "./TestFiles.ts"

interface Project {
  readonly name: string
  readonly include: ReadonlyArray<string>
  readonly exclude: ReadonlyArray<string>
}

const projects: ReadonlyArray<Project> = (config.test?.projects ?? []).map((project) => {
  const {
    exclude = [],
    include = [],
    name = ""
  } = typeof project === "object" && "test" in project ? (project.test ?? {}) : {}
  return { name: typeof name === "string" ? name : name.label, include, exclude }
})

const projectsOf = (file: string) =>
  projects
    .filter(
      ({ exclude, include }) =>
        include.some((glob) => matchesGlob(file, glob)) && !exclude.some((glob) => matchesGlob(file, glob))
    )
    .map(({ name }) => name)

describe("test files", () => {
  it("belong to exactly one of the two projects, the slow ones by their name", () => {
    const files = globSync("test/**/*.{test,spec}.?(c|m)[jt]s?(x)")
    assert.isAbove(files.length, 100)
    for (const file of files)
      assert.deepStrictEqual(projectsOf(file), [TestFiles.isSlow(file) ? "slow" : "quick"], file)
  })

  it("are run by npm test and npm run test:slow, and .ci/run runs both", () => {
    assert.match(manifest.scripts.test, /vitest run --project quick$/)
    assert.match(manifest.scripts["test:slow"], /^vitest run --project slow$/)
    assert.match(readFileSync(".ci/run", "utf8"), /^npm test\n[^]*^npm run test:slow$/m)
  })

  it("are slow where they start programs", () => {
    assert.deepStrictEqual(TestFiles.unmarked(readAll(".", "test")), [])
  })

  it("of the client are named after the module that they test", () => {
    const modules = new Set(globSync("src/**/*.ts"))
    assert.deepStrictEqual(TestFiles.unnamed(globSync("test/**/*.test.ts"), modules), [])
    const named = ["test/Turn.test.ts", "test/internal/a/Turn.files.slow.test.ts", "test/server/Sleep.test.ts"]
    assert.deepStrictEqual(TestFiles.unnamed(named, new Set(["src/Turn.ts"])), [
      "test/internal/a/Turn.files.slow.test.ts: there is no src/internal/a/Turn.ts"
    ])
  })

  it("are found to start programs through their helpers, too", () => {
    const helper = parse("test/support/Run.ts", `import { spawn } from "node:child_process"`)
    const text = `import * as Run from "../support/Run.ts"`
    assert.deepStrictEqual(TestFiles.unmarked([helper, parse("test/cli/Serve.test.ts", text)]), [
      "test/cli/Serve.test.ts → test/support/Run.ts → node:child_process: it starts programs; name it *.slow.test.ts"
    ])
    assert.deepStrictEqual(TestFiles.unmarked([helper, parse("test/cli/Serve.slow.test.ts", text)]), [])
    assert.lengthOf(TestFiles.unmarked([parse("test/Forge.test.ts", `import { rolldown } from "rolldown"`)]), 1)
  })
})
