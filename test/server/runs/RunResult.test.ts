import { assert, describe, it } from "@effect/vitest"
import { toEvent } from "../../../src/wire/AcpUpdate.ts"
import type { TurnEvent } from "../../../src/wire/TurnEvent.ts"
import * as RunResult from "../../../src/server/runs/RunResult.ts"

const text = (content: string, messageId?: string): TurnEvent => ({ _tag: "Text", content, messageId })
const tool: TurnEvent = { _tag: "ToolCall", name: "read", id: "1" }
const ended: TurnEvent = { ...tool, status: "completed" }
const thinking: TurnEvent = { _tag: "Thinking", content: "hm" }
const finalOf = (...events: ReadonlyArray<TurnEvent>) => {
  const transcript = RunResult.make()
  for (const event of events) transcript.add(event)
  return transcript.finalText()
}

describe("RunResult", () => {
  it("the result is the agent's last text, not what it said while it worked", () => {
    assert.strictEqual(finalOf(text("Let me look."), tool, tool, text('{"a"'), text(":1}")), '{"a":1}')
    assert.strictEqual(finalOf(text("he"), { _tag: "Thinking", content: "hm" }, text("llo")), "hello")
    assert.strictEqual(finalOf(text("Done."), tool), "Done.")
    assert.strictEqual(finalOf(text("Done."), tool, text(" \n"), tool), "Done.")
    assert.strictEqual(finalOf(tool), "")
  })

  it("the result is the last message, where messages have ids", () => {
    const [thought, total] = [text("Let me think about it.", "m1"), text('{"total": 42}', "m2")]
    assert.strictEqual(finalOf(thought, total), '{"total": 42}')
    assert.strictEqual(
      finalOf(text("Let me ", "m1"), text("look.", "m1"), text("It is ", "m2"), text("42", "m2")),
      "It is 42"
    )
    assert.strictEqual(finalOf(text("no id"), text("Done.", "m1"), text(" \n", "m2")), "Done.")
    assert.strictEqual(finalOf(text("It ", "m1"), thinking, text("is", "m1")), "It is")
    assert.strictEqual(finalOf(total, text("That is the total.", "m3")), "That is the total.")
  })

  it("a JSON answer is not lost: neither glued to a comment before it, nor split", () => {
    assert.strictEqual(finalOf(text("Let me think."), thinking, text('{"total": 42}')), '{"total": 42}')
    assert.strictEqual(finalOf(text('{"total"'), thinking, text(": 42}")), '{"total": 42}')
    assert.strictEqual(finalOf(text("Well."), thinking, text("[1,"), thinking, text("2]")), "[1,2]")
    assert.strictEqual(finalOf(text('{"total"', "m1"), text(": 42}", "m2")), '{"total": 42}')
    assert.strictEqual(
      finalOf(text("So:", "m1"), text("```json\n[1,", "m2"), text("2]\n```", "m3")),
      "```json\n[1,2]\n```"
    )
    assert.strictEqual(finalOf(text("The answer is "), thinking, text("42")), "The answer is 42")
    // A tool that is updated, or ends, while the agent answers.
    for (const update of [tool, ended])
      assert.strictEqual(finalOf(text("Go."), tool, text('{"total"'), update, text(": 42}")), '{"total": 42}')
  })

  it("without ids, a message ends where a tool call begins or ends", () => {
    assert.strictEqual(finalOf(tool, text("It runs."), ended, text("It is "), thinking, text("42.")), "It is 42.")
    assert.strictEqual(finalOf(tool, ended, text("It is "), ended, text("42.")), "It is 42.")
    const calls = new Map()
    const call = (sessionUpdate: string, status?: string) => toEvent({ sessionUpdate, toolCallId: "c", status }, calls)
    const again = [call("tool_call", "completed"), text("One."), call("tool_call"), text("Two.")]
    assert.strictEqual(finalOf(...again), "Two.")
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
