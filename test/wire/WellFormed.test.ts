import { assert, describe, it } from "@effect/vitest"
import { Effect, Schema } from "effect"
import * as WellFormed from "../../src/wire/WellFormed.ts"
import * as TurnEvents from "../../src/wire/TurnEvents.ts"
import type { Text, Thinking } from "../../src/wire/TurnEvent.ts"

const emoji = "😀"
const [high, low] = [emoji.slice(0, 1), emoji.slice(1)]

const text = (content: string, messageId?: string): Text =>
  messageId === undefined ? { _tag: "Text", content } : { _tag: "Text", content, messageId }

const joined = (...chunks: ReadonlyArray<Text | Thinking>) => {
  const joiner = WellFormed.chunkJoiner()
  return [...chunks.flatMap((chunk) => joiner.add(chunk)), ...joiner.end()]
}

describe("the chunks of a turn", () => {
  it("have a character whole that was cut between two of them", () => {
    assert.deepStrictEqual(joined(text(`a${high}`), text(`${low}b`)), [text("a"), text(`${emoji}b`)])
    assert.deepStrictEqual(joined(text(high), text(""), text(`${low}${high}`), text(low)), [
      text(""),
      text(emoji),
      text(emoji)
    ])
    const thought: Thinking = { _tag: "Thinking", content: "hm" }
    assert.deepStrictEqual(joined(text(high), thought, text(low)), [thought, text(emoji)])
  })

  it("have U+FFFD for half a character that no other half follows", () => {
    assert.deepStrictEqual(joined(text(`a${high}`)), [text("a"), text("�")])
    assert.deepStrictEqual(joined(text(low), text(`a${high}b${low}`)), [text("�"), text("a�b�")])
    assert.deepStrictEqual(joined(text(high, "m1"), text("a", "m2")), [text("�", "m1"), text("a", "m2")])
    assert.deepStrictEqual(joined(text(high), text(high)), [text("�"), text("�")])
  })

  it.effect.prop(
    "say the same as their text as a whole, made well-formed, however it is cut",
    { pieces: Schema.Array(Schema.Array(Schema.Literals(["a", "", high, low, emoji]))) },
    ({ pieces }) =>
      Effect.sync(() => {
        const chunks = pieces.map((units) => units.join(""))
        const said = joined(...chunks.map((content) => text(content)))
        assert.strictEqual(said.map(({ content }) => content).join(""), chunks.join("").toWellFormed())
        assert.isTrue(said.every(({ content }) => content.isWellFormed()))
      }),
    { arbitrary: { runs: 500 } }
  )
})

describe("the events of an answer", () => {
  const chunk = (text: string, more: object = {}) => ({
    method: "session/update",
    params: { update: { sessionUpdate: "agent_message_chunk", content: { type: "text", text }, ...more } }
  })

  it("have a character whole that was cut between two chunks, in each dialect", () => {
    const normalised = [`a${high}`, `${low}b`].map((content) => ({ type: "text", content }))
    const nested = [chunk(`a${high}`), chunk(`${low}b`)]
    const flat = nested.map(({ params: { update } }) => ({ method: "session/update", params: update }))
    for (const raws of [normalised, nested, flat]) {
      assert.deepStrictEqual(TurnEvents.decode(raws), [text(`a${emoji}b`)])
    }
    const apart = TurnEvents.decode([chunk(`a${high}`, { _meta: 1 }), chunk(`${low}b`, { _meta: 2 })])
    assert.deepStrictEqual<ReadonlyArray<unknown>>(apart, [
      { ...text("a"), _meta: 1 },
      { ...text(`${emoji}b`), _meta: 2 }
    ])
    assert.deepStrictEqual(TurnEvents.decode([chunk(`a${high}`)]), [text("a�")])
  })
})

describe("plain data", () => {
  it("has U+FFFD for each half of a character, in texts and in names", () => {
    const halves = { [`a${high}`]: [`${low}b`, { deep: `${high}${high}`, whole: emoji }], n: 1, none: null }
    const expected = { "a�": ["�b", { deep: "��", whole: emoji }], n: 1, none: null }
    assert.deepStrictEqual<unknown>(WellFormed.data(halves), expected)
    const json = JSON.stringify(halves)
    assert.isTrue(WellFormed.mayHaveHalves(json))
    assert.deepStrictEqual(JSON.parse(json, WellFormed.reviver), expected)
    assert.isFalse(WellFormed.mayHaveHalves(JSON.stringify({ whole: emoji, text: "\\u0041" })))
  })
})
