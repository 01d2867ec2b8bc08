import { assert, it } from "@effect/vitest"
import { readFileSync } from "node:fs"

const published = (text: string) =>
  text
    .replace('"../../src/index.ts"', '"effect-clawdforge"')
    .replaceAll(/"..\/..\/src\/(\w+)\/index.ts"/g, '"effect-clawdforge/$1"')

it("the README shows the chat backend as it is tested", () => {
  const shown = /^```ts title="chat.ts"\n([^]*?)^```$/m.exec(readFileSync("README.md", "utf8"))?.[1]
  assert.strictEqual(shown, published(readFileSync("test/examples/ChatBackend.ts", "utf8")))
})
