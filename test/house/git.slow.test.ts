import { assert, describe, it } from "@effect/vitest"
import { execFileSync } from "node:child_process"
import { readFileSync } from "node:fs"
import { homedir } from "node:os"

describe("the repository", () => {
  it("names no folder of this machine and no package registry", () => {
    // A folder at the root, such as /root, is common to many machines.
    const own = [process.cwd(), homedir()].filter((folder) => /^\/[^/]+\/./.test(folder))
    const folders = own.map((folder) => `(?<![\\w.}])${folder}/`)
    const local = new RegExp([...folders, "registry[.][a-z]+[.](org|com|io)"].join("|"))
    const files = execFileSync("git", ["ls-files"], { encoding: "utf8" }).trim().split("\n")
    assert.include(files, "package.json")
    for (const file of files) assert.notMatch(readFileSync(file, "utf8"), local, file)
  })
})
