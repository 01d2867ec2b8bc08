import { assert, it } from "@effect/vitest"
import { readFileSync } from "node:fs"
import * as Examples from "../house/Examples.ts"

const published = (text: string) =>
  text
    .replace('"../../src/index.ts"', '"effect-clawdforge"')
    .replaceAll(/"..\/..\/src\/(\w+)\/index.ts"/g, '"effect-clawdforge/$1"')

it("the README shows the chat backend as it is tested", () => {
  const readme = Examples.ofMarkdown("README.md", readFileSync("README.md", "utf8"))
  const shown = readme.find(({ name }) => name === "chat.ts")?.text
  assert.strictEqual(shown, published(readFileSync("test/examples/ChatBackend.ts", "utf8")))
})
