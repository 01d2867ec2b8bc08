import { assert, describe, it } from "@effect/vitest"
import { Effect, Schema } from "effect"
import * as AcpUpdate from "../../src/wire/AcpUpdate.ts"
import * as EventDecoder from "../../src/wire/EventDecoder.ts"
import { kinds } from "../../src/wire/EventKinds.ts"
import { turnEvent } from "../../src/wire/TurnEventCodec.ts"
import * as TurnEvents from "../../src/wire/TurnEvents.ts"
import type { TurnEvent } from "../../src/wire/TurnEvent.ts"
import { text } from "../../src/TurnEvent.ts"
import { Entry } from "./Entries.ts"

const { String, Struct } = Schema

/** The scalars in a value, but for the nulls, which clear a field. */
const leaves = (value: unknown): ReadonlyArray<string> => {
  if (value === null || value === undefined) return []
  return typeof value === "object" ? Object.values(value).flatMap(leaves) : [JSON.stringify(value)]
}

/** The scalars that name the kind of an entry: its event has them in its tag. */
const kindNames = new Set(
  [...Object.keys(kinds), "session/update", "text", "agent_message_chunk", "agent_thought_chunk", "tool_call_update"]
    .concat(["late", "usage_update", "session_info_update", "2.0", "agent-session"])
    .map((kind) => JSON.stringify(kind))
)

/** What an agent said in an entry, whatever else it has. */
const isText = Schema.is(Struct({ type: Schema.Literal("text"), content: String }))
const isChunk = Schema.is(
  Struct({
    sessionUpdate: Schema.Literal("agent_message_chunk"),
    content: Struct({ type: Schema.Literal("text"), text: String })
  })
)
const isNested = Schema.is(Struct({ params: Struct({ update: Struct({ sessionUpdate: Schema.Unknown }) }) }))
const isMessage = Schema.is(Struct({ method: Schema.Literal("session/update"), params: Schema.Unknown }))
const saidIn = (raw: unknown): string => {
  if (isText(raw)) return raw.content
  const update = isNested(raw) ? raw.params.update : isMessage(raw) ? raw.params : undefined
  return isChunk(update) ? update.content.text : ""
}

describe("a late event", () => {
  const late = (event: unknown, added = {}) => ({ type: "late", turn_index: 1, event, ...added })

  it("adds no text to its turn, and its tool call is another than one of the turn with the same id", () => {
    const call = { type: "tool_call", id: "c", name: "Read" }
    const events = TurnEvents.decode([late({ type: "text", content: "old" }), late({ ...call, result: 1 }), call])
    assert.strictEqual(text(events), "")
    assert.deepStrictEqual<ReadonlyArray<unknown>>(events, [
      { _tag: "Late", turnIndex: 1, event: { _tag: "Text", content: "old" } },
      { _tag: "Late", turnIndex: 1, event: { _tag: "ToolCall", id: "c", name: "Read", result: 1 } },
      { _tag: "ToolCall", id: "c", name: "Read" }
    ])
  })

  it("keeps what was added to it, and is unknown where it is not of its shape", () => {
    const odd = [late("text"), late({}, { turn_index: "1" }), late({}, { turnIndex: 2 }), late({}, { _tag: "x" })]
    assert.deepStrictEqual<ReadonlyArray<unknown>>(TurnEvents.decode([late({ type: "new" }, { at: 7 }), ...odd]), [
      { at: 7, _tag: "Late", turnIndex: 1, event: { _tag: "Unknown", raw: { type: "new" } } },
      ...odd.map((raw) => ({ _tag: "Unknown", raw }))
    ])
  })
})

const runs = { arbitrary: { runs: 2_000 } }

/** Whether there is half a character in it, which is not kept as it is: JSON has each as an escape. */
const hasHalf = (entry: unknown): boolean => /\\ud[89a-f]/i.test(JSON.stringify(entry))

describe("decoding the events of a turn, of any JSON", () => {
  it.effect.prop(
    "never throws, and gives events of their types",
    { entries: Schema.Array(Entry) },
    ({ entries }) =>
      Effect.sync(() => {
        for (const event of TurnEvents.decode(entries))
          assert.isTrue(Schema.is(turnEvent)(event), JSON.stringify(event))
      }),
    { arbitrary: { runs: 500 } }
  )

  it.effect.prop(
    "keeps an unknown entry unchanged, and loses nothing of a known one",
    { raw: Entry },
    ({ raw }) =>
      Effect.sync(() => {
        if (hasHalf(raw)) return
        const [event, ...more] = TurnEvents.decode([raw])
        assert.isEmpty(more)
        assert.strictEqual(text(event === undefined ? [] : [event]), saidIn(raw), JSON.stringify(raw))
        if (event?._tag === "Unknown" && event.raw === raw) return
        const kept = new Set(leaves(event))
        const lost = leaves(raw).filter((leaf) => !kept.has(leaf) && !kindNames.has(leaf))
        assert.deepStrictEqual(lost, [], JSON.stringify({ raw, event }))
      }),
    runs
  )

  it.effect.prop(
    "keeps every unknown entry of many, in order, and all text",
    { entries: Schema.Array(Entry) },
    ({ entries }) =>
      Effect.sync(() => {
        if (hasHalf(entries)) return
        const events = TurnEvents.decode(entries)
        const alone = entries.map((entry) => TurnEvents.decode([entry]))
        const unknown = (list: typeof events) => list.filter(({ _tag }) => _tag === "Unknown")
        assert.deepStrictEqual(unknown(events), unknown(alone.flat()))
        assert.strictEqual(text(events), alone.map(text).join(""))
      }),
    { arbitrary: { runs: 500 } }
  )
})

describe("decoding the events of a turn", () => {
  const meta = { claudeCode: { parentToolUseId: "toolu_1" } }
  const chunk = (text: string, more: object = {}) => ({
    method: "session/update",
    params: { update: { sessionUpdate: "agent_message_chunk", content: { type: "text", text }, ...more } }
  })

  it("joins chunks that differ in nothing but what they say", () => {
    assert.deepStrictEqual(TurnEvents.decode([chunk("a"), chunk("b"), chunk("c", { messageId: "m" })]), [
      { _tag: "Text", content: "ab" },
      { _tag: "Text", content: "c", messageId: "m" }
    ])
    assert.strictEqual(TurnEvents.decode([chunk("a", { _meta: meta }), chunk("b", { _meta: meta })]).length, 1)
    assert.strictEqual(TurnEvents.decode([chunk("a"), chunk("b", { _meta: meta }), chunk("c")]).length, 3)
  })

  it("keeps the name that an adapter gave a tool when a later update replaces _meta", () => {
    const call = (update: object) => ({
      method: "session/update",
      params: { update: { sessionUpdate: "tool_call_update", toolCallId: "toolu_1", ...update } }
    })
    const updates = [{ _meta: { claudeCode: { toolName: "Read" } } }, { title: "Read a.txt", _meta: { other: 1 } }]
    assert.deepStrictEqual(TurnEvents.decode(updates.map(call)), [
      { _tag: "ToolCall", name: "Read", id: "toolu_1", title: "Read a.txt", _meta: { other: 1 } }
    ] as ReadonlyArray<unknown>)
  })

  it("reads an input that is not an object as the raw input, unless there is one", () => {
    const call = { type: "tool_call", name: "echo", args: "text" }
    assert.deepStrictEqual(TurnEvents.decode([call, { ...call, raw_input: 1 }]), [
      { _tag: "ToolCall", name: "echo", rawInput: "text" },
      { _tag: "Unknown", raw: { ...call, raw_input: 1 } }
    ])
  })

  const decoded = (...raws: ReadonlyArray<unknown>): ReadonlyArray<unknown> => TurnEvents.decode(raws)

  it("treats null as an absent field", () => {
    const nulls = { message_id: null, name: null, args: null, result: null }
    const call = { type: "tool_call", name: "x", args: null, raw_input: null, result: null, id: null, status: null }
    assert.deepStrictEqual(decoded({ type: "text", content: "a", ...nulls }, { type: "text", content: null }), [
      { _tag: "Text", content: "a", name: null, args: null, result: null },
      { _tag: "Text", content: "" }
    ])
    assert.deepStrictEqual(decoded(call, { type: "usage", input_tokens: 1, cost: null, used: null }), [
      { _tag: "ToolCall", name: "x" },
      { _tag: "Usage", inputTokens: 1 }
    ])
    // Here null says that there is none any more.
    assert.deepStrictEqual(decoded({ type: "session_info", title: null }), [{ _tag: "SessionInfo", title: null }])
  })

  it("reads the cost of a session whose context is not known", () => {
    const update = { sessionUpdate: "usage_update", used: null, size: null, cost: { amount: 0.5, currency: "USD" } }
    const usage = { _tag: "Usage", cost: { amount: 0.5, currency: "USD" } }
    const nested = { method: "session/update", params: { update } }
    const flat = { method: "session/update", params: update }
    assert.deepStrictEqual(decoded(nested, flat), [usage, usage])
  })

  it("reads the text of a message whose id is not a string, and keeps the whole message", () => {
    for (const odd of [{ type: "text", content: "a", message_id: 7 }, chunk("a", { messageId: 7 })]) {
      assert.deepStrictEqual(decoded(odd), [{ _tag: "Text", content: "a", raw: odd }])
    }
  })

  it("keeps the whole message where an extra field has a name that is taken", () => {
    const block = { type: "text", text: "a", content: "b", annotations: 1 }
    const raws = [
      { type: "text", content: "a", _tag: "Zed" },
      { type: "text", content: "a", message_id: "m", messageId: "n" },
      chunk("a", { _tag: "Zed" }),
      chunk("a", { content: block, annotations: 2 })
    ]
    assert.deepStrictEqual(decoded(...raws), [
      { _tag: "Text", content: "a", raw: raws[0] },
      { _tag: "Text", content: "a", messageId: "m", raw: raws[1] },
      { _tag: "Text", content: "a", raw: raws[2] },
      { _tag: "Text", content: "a", annotations: 2, raw: raws[3] }
    ])
  })

  it("is Unknown where the fields of an event that is no text have names that are taken", () => {
    const raws = [
      { type: "usage", used: 1, _tag: "Zed" },
      { method: "session/update", params: { sessionUpdate: "tool_call", toolCallId: "t", id: "other" } }
    ]
    assert.deepStrictEqual(
      decoded(...raws),
      raws.map((raw) => ({ _tag: "Unknown", raw }))
    )
  })

  it("keeps the fields of an update's envelope", () => {
    const of = (update: object) => ({
      jsonrpc: "2.0",
      method: "session/update",
      ts: 1,
      params: { sessionId: "s", _meta: { a: 1 }, update }
    })
    const said = { sessionUpdate: "agent_message_chunk", content: { type: "text", text: "a" } }
    const call = { sessionUpdate: "tool_call", toolCallId: "t", title: "A" }
    assert.deepStrictEqual(decoded(of(said), of(call)), [
      { _tag: "Text", content: "a", ts: 1, _meta: { a: 1 } },
      { _tag: "ToolCall", name: "A", id: "t", title: "A", ts: 1, _meta: { a: 1 } }
    ])
    const clash = of({ ...call, _meta: { b: 2 } })
    assert.deepStrictEqual(decoded(clash), [
      { _tag: "ToolCall", name: "A", id: "t", title: "A", ts: 1, _meta: { b: 2 }, raw: clash }
    ])
  })

  it("joins the events of one tool call, in either dialect", () => {
    const call = { type: "tool_call", id: "t", name: "x" }
    const update = {
      method: "session/update",
      params: { sessionUpdate: "tool_call", toolCallId: "t", title: "T", rawInput: "in" }
    }
    const done = { ...call, result: "R" }
    assert.deepStrictEqual(decoded({ ...call, args: { p: 1 }, result: null, foo: "bar" }, done, call), [
      { _tag: "ToolCall", id: "t", name: "x", args: { p: 1 }, result: "R", foo: "bar" }
    ])
    const both = { _tag: "ToolCall", id: "t", title: "T", rawInput: "in", result: "R" }
    assert.deepStrictEqual(decoded(update, done), [{ ...both, name: "x" }])
    assert.deepStrictEqual(decoded(update, done, update), [{ ...both, name: "T" }])
  })

  describe("with an id that is used again after its call has ended", () => {
    const call = (sessionUpdate: string, fields: object) => ({ sessionUpdate, toolCallId: "call_0", ...fields })
    const said = (text: string) => ({ sessionUpdate: "agent_message_chunk", content: { type: "text", text } })
    const updates = [
      said("a"),
      call("tool_call", { title: "Read", rawInput: { n: 1 } }),
      call("tool_call_update", { status: "completed", rawOutput: "one" }),
      said("b"),
      call("tool_call", { title: "Read" }),
      call("tool_call_update", { rawInput: { n: 2 } }),
      call("tool_call_update", { status: "failed", rawOutput: "two" }),
      // This one has ended at once, and is updated after its end.
      call("tool_call", { title: "Read", status: "completed", rawInput: { n: 3 } }),
      call("tool_call_update", { rawOutput: "three" }),
      said("c")
    ]
    const event = { _tag: "ToolCall", id: "call_0", name: "Read", title: "Read" } as const
    const expected: ReadonlyArray<TurnEvent> = [
      { _tag: "Text", content: "a" },
      { ...event, status: "completed", args: { n: 1 }, result: "one" },
      { _tag: "Text", content: "b" },
      { ...event, status: "failed", args: { n: 2 }, result: "two" },
      { ...event, status: "completed", args: { n: 3 }, result: "three" },
      { _tag: "Text", content: "c" }
    ]

    it("keeps both calls, and the texts around them apart, in each dialect", () => {
      const nested = updates.map((update) => ({ method: "session/update", params: { update } }))
      const flat = updates.map((params) => ({ method: "session/update", params }))
      const streamed = nested.map(EventDecoder.make()).map((event) => Schema.encodeSync(turnEvent)(event))
      for (const raws of [nested, flat, streamed]) assert.deepStrictEqual(decoded(...raws), expected)
    })

    it("keeps both calls of events that a server has merged", () => {
      const merged = expected.map((event) => Schema.encodeSync(turnEvent)(event))
      assert.deepStrictEqual(decoded(...merged), expected)
    })

    it("keeps one call where the earlier has not ended, and where only its result came again", () => {
      const open = call("tool_call", { title: "Read", rawInput: { n: 1 } })
      const again = [open, call("tool_call", { title: "Read it", status: "completed", rawOutput: "one" })]
      assert.strictEqual(decoded(...again.map((params) => ({ method: "session/update", params }))).length, 1)
      const done = { type: "tool_call", id: "call_0", name: "Read", status: "completed", args: { n: 1 } }
      assert.deepStrictEqual(decoded(done, { ...done, result: "one" }), [
        { _tag: "ToolCall", id: "call_0", name: "Read", status: "completed", args: { n: 1 }, result: "one" }
      ])
    })

    it("keeps both where a server has merged the events in memory", () => {
      const calls: AcpUpdate.ToolCalls = new Map()
      assert.deepStrictEqual<ReadonlyArray<unknown>>(
        TurnEvents.merge(updates.map((update) => AcpUpdate.toEvent(update, calls))),
        expected
      )
      assert.deepStrictEqual<ReadonlyArray<unknown>>(TurnEvents.merge(expected), expected)
    })
  })

  it("keeps reading a tool call after an update that it does not understand", () => {
    const call = (update: object) => ({
      method: "session/update",
      params: { sessionUpdate: "tool_call_update", toolCallId: "t", ...update }
    })
    const odd = call({ status: "failed", id: "other" })
    const updates = [call({ title: "A", x: 1, y: 2 }), odd, call({ status: "completed", y: null }), call({ title: 7 })]
    const expected: ReadonlyArray<unknown> = [
      { _tag: "ToolCall", name: "A", id: "t", title: "A", status: "completed", x: 1 },
      { _tag: "Unknown", raw: odd },
      { _tag: "Unknown", raw: call({ title: 7 }) }
    ]
    assert.deepStrictEqual(TurnEvents.decode(updates), expected)
  })

  // Each takes less than a second; a time that grows with the square of the length would be minutes.
  describe("reads a long turn in time linear in its length", () => {
    const many = <A>(count: number, make: (nth: number) => A) => Array.from({ length: count }, (_, nth) => make(nth))
    const call = (update: object) => ({
      method: "session/update",
      params: { update: { sessionUpdate: "tool_call_update", toolCallId: "t", ...update } }
    })
    const turns = {
      "updates of one tool call, each with another field": many(10_000, (nth) => call({ [`field${nth}`]: nth })),
      "updates of one tool call that shows much": [
        call({ content: many(10_000, (nth) => ({ nth })) }),
        ...many(10_000, () => call({ status: "in_progress" }))
      ],
      "events of one tool call, each with another field": many(10_000, (nth) => ({
        type: "tool_call",
        id: "t",
        name: "x",
        [`field${nth}`]: nth
      })),
      "chunks with _meta": many(40_000, () => chunk("text", { _meta: meta })),
      "chunks with a field of their own": many(100_000, () => ({ type: "text", content: "a", added: 1 }))
    }
    for (const [name, raws] of Object.entries(turns)) {
      it(name, { timeout: 60_000 }, () => {
        assert.strictEqual(TurnEvents.decode(raws).length, 1)
      })
    }
  })
})
