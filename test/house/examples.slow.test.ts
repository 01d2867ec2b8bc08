import * as NodeServices from "@effect/platform-node/NodeServices"
import { assert, describe, it, layer } from "@effect/vitest"
import { Effect, FileSystem, Layer, Redacted } from "effect"
import * as DemoAgent from "../../src/agent/DemoAgent.ts"
import * as ForgeServer from "../../src/server/ForgeServer.ts"
import * as Repository from "../conformance/Repository.ts"
import * as Served from "../conformance/Served.ts"
import { Consumer } from "./Consumer.ts"
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

/** The demo agent stands in for Claude, which the documentation uses. */
const agents = [DemoAgent.definition, { ...DemoAgent.definition, name: "claude" }]

/** What programs of the README print. */
const saying: Readonly<Record<string, string>> = {
  "first.ts": "heliotrope",
  "files.ts": "Invoice 4711",
  "sessions.ts": "live: true, turns: 1\nYou told me the word heliotrope.",
  "turns.ts": "Read notes.txt: completed",
  "streams.ts": "6 and 16893 bytes, kept for 1h",
  "errors.ts": "404: session not found\n422: sessionId must be",
  "mcp.ts": "mcpServers is not supported by this server",
  "workspaces.ts": "working in /",
  "session-files.ts": "data/orders.csv: 14 bytes",
  "model.ts": "You told me the word heliotrope.",
  "interruption.ts": "That took too long.\nYou said “And now in one word.”",
  "tokens.ts": "<redacted:app token>",
  "telemetry.ts": "1 session is open",
  "demo.ts": "42, after 2 answers\nrefusal\nThe agent failed: "
}

const adminToken = "the-admin-token-of-the-documentation"

/** A server with the workspace that the documentation uses. */
const server = Layer.unwrap(
  Effect.map(Served.home, (home) =>
    ForgeServer.layer({
      agents,
      port: 0,
      adminToken: Redacted.make(adminToken),
      workspaces: [{ name: "shop", path: Repository.make(home).repository }]
    })
  )
)

const services = Layer.merge(Consumer.layer, server).pipe(Layer.provideMerge(NodeServices.layer))

layer(services, { timeout: "4 minutes", excludeTestServices: true })("the programs in the documentation", (it) => {
  it.effect("fail if they do not compile or do not run", () =>
    Effect.gen(function* () {
      const outcomes = yield* Examples.outcomes(
        [
          { name: "good.ts", at: "README.md:1", text: `console.log(process.env["GREETING"])` },
          { name: "types.ts", at: "README.md:2", text: `export const a: number = "text"` },
          {
            name: "run.ts",
            at: "README.md:3",
            text: `if (process.env["GREETING"] === "hello") throw new Error("no")`
          }
        ],
        { GREETING: "hello" }
      )
      const [good, types, run] = outcomes
      assert.deepStrictEqual(good, { name: "good.ts", output: "hello\n", failure: undefined })
      assert.match(types?.failure ?? "", /^README.md:2: .*types.ts\(1,14\): error TS2322/)
      assert.match(run?.failure ?? "", /^README.md:3: exit code 1\n[^]*Error: no/)
    })
  )

  it.effect("compile and run", () =>
    Effect.gen(function* () {
      const fs = yield* FileSystem.FileSystem
      const server = yield* ForgeServer.ForgeServer
      const token = yield* server.mint("documentation")
      const modules = (yield* fs.readDirectory("src", { recursive: true })).filter((name) =>
        /^([^/]+|(ai|node|testing|server)\/[^/]+)\.ts$/.test(name)
      )
      const ofModules = yield* Effect.forEach(modules, (name) =>
        Effect.map(fs.readFileString(`src/${name}`), (text) => Examples.ofModule(`src/${name}`, text))
      )
      const ofReadme = Examples.ofMarkdown("README.md", yield* fs.readFileString("README.md"))
      assert.isNotEmpty(ofReadme)
      const env = {
        CLAWDFORGE_URL: server.url,
        CLAWDFORGE_TOKEN: Redacted.value(token),
        CLAWDFORGE_ADMIN_TOKEN: adminToken,
        DOCS_AUTHORIZATION: "Bearer of-the-docs"
      }
      const outcomes = yield* Examples.outcomes([...ofReadme, ...ofModules.flat()], env)
      assert.deepStrictEqual(
        outcomes.flatMap(({ failure }) => failure ?? []),
        []
      )
      for (const [name, said] of Object.entries(saying)) {
        assert.include(outcomes.find((outcome) => outcome.name === name)?.output, said)
      }
    })
  )
})
