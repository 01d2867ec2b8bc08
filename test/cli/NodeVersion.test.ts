import { assert, it } from "@effect/vitest"
import { readFileSync } from "node:fs"
import manifest from "../../package.json" with { type: "json" }
import * as NodeVersion from "../../src/cli/NodeVersion.ts"
import { readAll } from "../house/SourceFile.ts"

it("a Node older than the package's engines is refused in one sentence with the version that is needed", () => {
  assert.strictEqual(manifest.engines.node, `>=${NodeVersion.minimum}`)
  for (const version of ["18.20.8", "20.20.2", "22.0.0", "22.18.9", "9.99.0"]) {
    assert.strictEqual(
      NodeVersion.problemOf(version),
      `Node ${NodeVersion.minimum} or newer is needed, and this is Node ${version}`
    )
  }
  for (const version of ["22.19.0", "22.20.1", "23.0.0", "24.21.0", "100.1.0", "24.0.0-nightly20250101"]) {
    assert.isUndefined(NodeVersion.problemOf(version), version)
  }
})

it("the command loads nothing else before it has checked the version", () => {
  const importsOf = (path: string) => {
    const file = readAll(".").find((file) => file.path === path)
    return file?.imports.map(({ specifier }) => specifier)
  }
  assert.deepStrictEqual(importsOf("src/cli/NodeVersion.ts"), [])
  const text = readFileSync("src/cli/forge.ts", "utf8")
  assert.deepStrictEqual(text.match(/^(import|export) .*/gm), ['import { problemOf } from "./NodeVersion.ts"'])
})
