import { assert, describe, it } from "@effect/vitest"
import * as Arrows from "./Arrows.ts"
import * as Boundaries from "./Boundaries.ts"
import * as Habits from "./Habits.ts"
import * as Silence from "./Silence.ts"
import { parse, readAll } from "./SourceFile.ts"

describe("Arrows", () => {
  const arrows = (path: string, text: string) => Arrows.violations([parse(path, text)])

  it("holds in src", () => {
    const files = readAll(".")
    assert.isAbove(files.length, 10)
    assert.deepStrictEqual(Arrows.violations(files), [])
  })

  it("reports an import within the client's inside that goes up", () => {
    const up = parse("src/internal/calls/Files.ts", `import { read } from "../exchange/JsonReader.ts"`)
    const down = parse("src/internal/exchange/Exchange.ts", `import { callOf } from "../calls/Operation.ts"`)
    assert.deepStrictEqual(Arrows.violations([up, down]), [
      `src/internal/calls/Files.ts:1: imports "../exchange/JsonReader.ts", which is above it`
    ])
  })

  it("finds a circle, also of types alone, and prints it", () => {
    const files = [
      parse("src/Turn.ts", `import type { Run } from "./Run.ts"`),
      parse("src/Run.ts", `import { Health } from "./Health.ts"`),
      parse("src/Health.ts", `import type { Turn } from "./Turn.ts"`)
    ]
    assert.deepStrictEqual(Arrows.violations(files), [
      "src/Turn.ts → src/Run.ts → src/Health.ts → src/Turn.ts: a circle"
    ])
  })

  it("finds every form of import, and prints the file, the line, the import and the rule", () => {
    const forms = [
      `import { a } from "node:fs"`,
      `import type { A } from "node:fs"`,
      `import { type A } from "node:fs"`,
      `import "node:fs"`,
      `export { a } from "node:fs"`,
      `export type { A } from "node:fs"`,
      `export * from "node:fs"`,
      `export * as a from "node:fs"`,
      `export const a = import("node:fs")`,
      `export type A = import("node:fs").A`
    ]
    for (const form of forms) {
      assert.deepStrictEqual(
        arrows("src/wire/Ids.ts", `\n${form}\n`),
        [`src/wire/Ids.ts:2: imports "node:fs"; wire may import events, effect, and itself`],
        form
      )
    }
    assert.include(arrows("src/cli/forge.ts", "export const a = (name: string) => import(name)")[0], "plain string")
  })

  it("knows which room may import which", () => {
    const allowed = [
      ["src/Forge.ts", "./ForgeClient.ts"],
      ["src/Forge.ts", "./wire/Sessions.ts"],
      ["src/internal/Exchange.ts", "../ForgeError.ts"],
      ["src/internal/Exchange.ts", "effect/http"],
      ["src/node/NodeForgeClient.ts", "@effect/platform-node/NodeHttpClient"],
      ["src/node/NodeForgeClient.ts", "../ForgeClient.ts"],
      ["src/api/Api.ts", "effect/http-api"],
      ["src/agent/AgentProcess.ts", "@agentclientprotocol/sdk"],
      ["src/agent/AgentProcess.ts", "../wire/TurnEvent.ts"],
      ["src/server/ForgeServer.ts", "../ForgeClient.ts"],
      ["src/server/ForgeServer.ts", "../api/Api.ts"],
      ["src/server/NodeSqlite.ts", "effect/sql/SqlClient"],
      ["src/cli/forge.ts", "../server/ForgeServer.ts"]
    ] as const
    const forbidden = [
      ["src/Forge.ts", "effect/http-api"],
      ["src/Forge.ts", "effect/sql/SqlClient"],
      ["src/Forge.ts", "@effect/platform-node/NodeHttpClient"],
      ["src/Forge.ts", "./node/NodeForgeClient.ts"],
      ["src/Forge.ts", "./api/Api.ts"],
      ["src/internal/Exchange.ts", "../server/ForgeServer.ts"],
      ["src/testing/ForgeTest.ts", "node:fs"],
      ["src/agent/AgentProcess.ts", "../wire/Sessions.ts"],
      ["src/agent/AgentProcess.ts", "../server/Ledger.ts"],
      ["src/agent/demo/Main.ts", "effect"],
      ["src/server/ForgeServer.ts", "@effect/platform-node"],
      ["src/server/ForgeServer.ts", "../cli/forge.ts"],
      ["src/cli/forge.ts", "../testing/ForgeTest.ts"],
      ["src/Forge.ts", "./ForgeClient"],
      ["src/Forge.ts", "../test/house/Check.ts"]
    ] as const
    for (const [path, name] of allowed) assert.deepStrictEqual(arrows(path, `import "${name}"`), [], `${path} ${name}`)
    for (const [path, name] of forbidden) assert.isNotEmpty(arrows(path, `import "${name}"`), `${path} ${name}`)
  })

  it("follows the imports of the client transitively", () => {
    const way = Arrows.violations([
      parse("src/Forge.ts", `import "./internal/Exchange.ts"`),
      parse("src/internal/Exchange.ts", `import "../wire/Ids.ts"`),
      parse("src/wire/Ids.ts", `import "node:fs"`)
    ])
    assert.include(
      way,
      `src/Forge.ts → src/internal/Exchange.ts → src/wire/Ids.ts → "node:fs": the client must run without it`
    )
  })
})

describe("Boundaries", () => {
  const boundaries = (text: string) => Boundaries.violations([parse("src/Forge.ts", text)])

  it("holds in src", () => {
    assert.deepStrictEqual(Boundaries.violations(readAll(".")), [])
  })

  const foreign = [
    "export const f = async () => {}",
    "export class A { async f() {} }",
    "export const f = () => { try { g() } finally { h() } }",
    "export const f = () => { throw g }",
    "export const a = Date.now()",
    "export const a = new Date()",
    "export const a = new Promise(g)",
    "export const a = Math.random()",
    "export const a = setTimeout(g, 1)",
    `export const a = fetch("/")`,
    "console.log(a)",
    "export type A = any",
    "export const a = b as A",
    "export const a = <A>b",
    "export const a = b!.c"
  ]

  it("requires a comment for everything foreign", () => {
    for (const text of foreign) {
      assert.isNotEmpty(boundaries(`\n${text}`), text)
      assert.deepStrictEqual(boundaries(`\n// Boundary: the library wants it.\n${text}`), [], text)
      assert.deepStrictEqual(boundaries(`\n${text} // boundary: the library wants it`), [], text)
      assert.deepStrictEqual(boundaries(`/**\n * A program of its own. Boundary: no Effect.\n */\n\n${text}`), [], text)
      assert.isNotEmpty(boundaries(`\n// The library wants it.\n${text}`), text)
      assert.isNotEmpty(boundaries(`\n// Boundary: of something else.\nexport const x = 1\n\n${text}`), text)
    }
  })

  it("allows what is not foreign", () => {
    assert.deepStrictEqual(boundaries(`import { a as b } from "./A.ts"\nexport const c = [b] as const`), [])
    assert.deepStrictEqual(boundaries("export const a = Schema.Date\nexport const b = a satisfies B"), [])
  })
})

describe("Habits", () => {
  const habits = (text: string) => Habits.violations([parse("src/Forge.ts", text)])

  it("hold in src", () => {
    assert.deepStrictEqual(Habits.violations(readAll(".")), [])
  })

  it("ask for Effect.fn where a function only returns Effect.gen", () => {
    assert.isNotEmpty(habits("export const f = (a: A) => Effect.gen(function*() {})"))
    assert.isNotEmpty(habits("export const f = (a: A) => Effect.gen(function*() {}).pipe(Effect.scoped)"))
    assert.isNotEmpty(habits("export function f() { return Effect.gen(function*() {}) }"))
    assert.deepStrictEqual(habits("export const f = Effect.fn(function*() {})"), [])
    assert.deepStrictEqual(habits("export const f = Effect.gen(function*() {})"), [])
  })

  it("keep files at 400 lines", () => {
    assert.deepStrictEqual(habits("//\n".repeat(400)), [])
    assert.isNotEmpty(habits("//\n".repeat(401)))
  })
})

describe("Silence", () => {
  const silences = (path: string, text: string) => Silence.violations([parse(path, text)])

  it("holds in src", () => {
    assert.deepStrictEqual(Silence.violations(readAll(".")), [])
  })

  it("requires a reason wherever a check is disabled", () => {
    const comments = [
      "// @ts-nocheck",
      "// @ts-ignore",
      "// @ts-expect-error",
      "// oxlint-disable-next-line no-control-regex",
      "/* eslint-disable */",
      "// @effect-diagnostics floatingEffect:off"
    ]
    for (const comment of comments) {
      assert.lengthOf(silences("src/Forge.ts", `${comment}\nexport const a = 1`), 1, comment)
      const reasoned = comment.replace(/^\/[/*]/, "$& boundary: the runtime has no type for it;")
      assert.lengthOf(silences("src/Forge.ts", `${reasoned}\nexport const a = 1`), 0, reasoned)
    }
  })

  it("requires every file to be one that the checks read", () => {
    for (const ending of ["mts", "cts", "tsx", "js", "mjs"]) {
      assert.lengthOf(silences(`src/Planted.${ending}`, "export const a = 1"), 1, ending)
    }
  })
})
