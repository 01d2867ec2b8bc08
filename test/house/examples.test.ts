import { assert, describe, it } from "@effect/vitest"
import * as Examples from "./Examples.ts"

describe("Examples", () => {
  it("takes the titled programs of a page", () => {
    const page = [
      "# Title",
      "```ts",
      "not.run()",
      "```",
      '```ts title="first.ts"',
      "const a = 1",
      "",
      "console.log(a)",
      "```",
      "```sh",
      "npm start",
      "```",
      "- in a list",
      '  ```ts title="second.ts"',
      "  if (a) {",
      "    b()",
      "  }",
      "  ```"
    ].join("\n")
    assert.deepStrictEqual(Examples.ofMarkdown("README.md", page), [
      { name: "first.ts", at: "README.md:5", text: "const a = 1\n\nconsole.log(a)\n" },
      { name: "second.ts", at: "README.md:14", text: "if (a) {\n  b()\n}\n" }
    ])
  })

  it("takes every program from the comments of a module", () => {
    const module = [
      "/**",
      " * A module.",
      " */",
      'export const text = "```ts"',
      "",
      "/**",
      " * Does it.",
      " *",
      " * ```ts",
      ' * import { a } from "effect-clawdforge"',
      " *",
      " * if (a) {",
      " *   a.b()",
      " * }",
      " * ```",
      " */",
      "export const a = 1"
    ].join("\n")
    assert.deepStrictEqual(Examples.ofModule("src/Forge.ts", module), [
      {
        name: "src-Forge-ts-9.ts",
        at: "src/Forge.ts:9",
        text: 'import { a } from "effect-clawdforge"\n\nif (a) {\n  a.b()\n}\n'
      }
    ])
  })
})
