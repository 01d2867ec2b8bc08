/**
 * How much a program loads that opens sessions: minified and compressed, in kilobytes of 1,000 bytes.
 */
import { assert, it } from "@effect/vitest"
import { gzipSync } from "node:zlib"
import { rolldown } from "rolldown"

const bundle = async (external: ReadonlyArray<RegExp>) => {
  const built = await rolldown({
    input: "test/house/fixtures/Browser.ts",
    platform: "browser",
    external: [...external]
  })
  const { output } = await built.generate({ format: "esm", minify: true })
  await built.close()
  return output[0].code
}

const kilobytes = (code: string) => gzipSync(code, { level: 9 }).byteLength / 1000

it("the client is 18 kB of its own at most", async () => {
  assert.isBelow(kilobytes(await bundle([/^effect(\/|$)/])), 18)
})

it("the client and what it needs of Effect are 62 kB at most, and no `Config`", async () => {
  const code = await bundle([])
  assert.isBelow(kilobytes(code), 62)
  assert.notInclude(code, "CLAWDFORGE_URL")
})
