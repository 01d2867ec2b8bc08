/**
 * The size of a program that opens sessions: minified and compressed, in kilobytes of 1,000 bytes.
 */
import { assert, it } from "@effect/vitest"
import { gzipSync } from "node:zlib"
import { rolldown } from "rolldown"

const build = async (input: string, external: ReadonlyArray<RegExp> = []) => {
  const built = await rolldown({ input, platform: "browser", external: [...external] })
  const { output } = await built.generate({ format: "esm", minify: true })
  await built.close()
  return output[0]
}

const bundle = async (external: ReadonlyArray<RegExp>) => (await build("test/house/fixtures/Browser.ts", external)).code

const kilobytes = (code: string) => gzipSync(code, { level: 9 }).byteLength / 1000

it("the client's own code is at most 29 kB", async () => {
  assert.isBelow(kilobytes(await bundle([/^effect(\/|$)/])), 29)
})

it("the client with its part of Effect is at most 81 kB, without `Config`", async () => {
  const code = await bundle([])
  assert.isBelow(kilobytes(code), 81)
  assert.notInclude(code, "CLAWDFORGE_URL")
})

it("the fake needs nothing of Node", async () => {
  const { imports } = await build("src/testing/index.ts")
  assert.deepStrictEqual(imports, [])
})
