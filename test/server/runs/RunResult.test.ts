import { assert, describe, it } from "@effect/vitest"
import type { TurnEvent } from "../../../src/wire/TurnEvent.ts"
import * as RunResult from "../../../src/server/runs/RunResult.ts"

const text = (content: string): TurnEvent => ({ _tag: "Text", content })
const tool: TurnEvent = { _tag: "ToolCall", name: "read", id: "1" }
const finalOf = (...events: ReadonlyArray<TurnEvent>) =>
  RunResult.finalText(events.reduce(RunResult.accumulate, RunResult.empty))

describe("RunResult", () => {
  it("the result is the agent's last text, not what it said while it worked", () => {
    assert.strictEqual(finalOf(text("Let me look."), tool, tool, text('{"a"'), text(":1}")), '{"a":1}')
    assert.strictEqual(finalOf(text("he"), { _tag: "Thinking", content: "hm" }, text("llo")), "hello")
    assert.strictEqual(finalOf(text("Done."), tool), "Done.")
    assert.strictEqual(finalOf(text("Done."), tool, text(" \n"), tool), "Done.")
    assert.strictEqual(finalOf(tool), "")
  })

  it("the result is decoded where it is JSON, with or without a code fence around it", () => {
    const results: ReadonlyArray<readonly [string, unknown]> = [
      ['{"a":[1,null,"x"]}', { a: [1, null, "x"] }],
      [" 42\n", 42],
      ["null", null],
      ['"quoted"', "quoted"],
      ['```json\n{"a":1}\n```', { a: 1 }],
      ['\n```\r\n{"a":1}\r\n```\n', { a: 1 }],
      ["````\n[1]\n````", [1]],
      ["```ts\nconst a = 1\n```", "const a = 1"],
      ["```\n```", ""],
      ["", ""],
      [" spaces stay ", " spaces stay "],
      ["{not json", "{not json"],
      ["Here:\n```json\n1\n```", "Here:\n```json\n1\n```"],
      ["```a\n1\n```\nand\n```b\n2\n```", "```a\n1\n```\nand\n```b\n2\n```"],
      ["````md\n```ts\n1\n```\n````", "```ts\n1\n```"],
      ["```json 1```", "```json 1```"],
      ["```", "```"]
    ]
    for (const [said, result] of results) assert.deepStrictEqual(RunResult.fromText(said), result, said)
  })

  it("JSON that is nested too deep for some clients stays text", () => {
    const nested = (levels: number) => "[".repeat(levels) + "]".repeat(levels)
    assert.deepStrictEqual(JSON.stringify(RunResult.fromText(nested(60))), nested(60))
    assert.strictEqual(RunResult.fromText(nested(61)), nested(61))
    assert.strictEqual(RunResult.fromText(nested(1_000_000)), nested(1_000_000))
  })

  it("JSON with a number that is too large to be encoded again stays text", () => {
    for (const said of ["1e400", '{"a":[1e999]}', "-1e309"]) assert.strictEqual(RunResult.fromText(said), said)
    assert.strictEqual(RunResult.fromText("1e300"), 1e300)
  })
})
