import { assert, it } from "@effect/vitest"
import * as JsonDepth from "../../../src/agent/acp/JsonDepth.ts"

const nested = (levels: number) => "[".repeat(levels) + "]".repeat(levels)

it("brackets in strings do not count, even after an escaped quote or backslash", () => {
  for (const text of [`"${nested(9)}`, `\\"${nested(9)}`]) {
    const json = JSON.stringify([text])
    assert.deepStrictEqual(JsonDepth.cut(json, 3), { json, values: 1 })
    assert.isFalse(JsonDepth.isDeeper(json, 3))
  }
})

it("a string may end with an escaped backslash", () => {
  const json = `["\\\\",${nested(3)}]`
  assert.strictEqual(JsonDepth.cut(json, 3).json, '["\\\\",[[null]]]')
  assert.isTrue(JsonDepth.isDeeper(json, 3))
})

it("values that are cut off do not count", () => {
  assert.deepStrictEqual(JsonDepth.cut("[[1,2,3],4]", 1), { json: "[null,4]", values: 2 })
})
