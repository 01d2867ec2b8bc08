/**
 * Public data is stored, replayed and sent elsewhere: encoded, written as JSON, read and decoded, it is what it was.
 */
import { assert, describe, it } from "@effect/vitest"
import { DateTime, Duration, Effect, Redacted, Schema } from "effect"
import { readFileSync } from "node:fs"
import { AppToken, Health, Run, SessionInfo, Turn, TurnEvent, Upload } from "../../src/index.ts"
import * as EventDecoder from "../../src/wire/EventDecoder.ts"
import * as TurnEvents from "../../src/wire/TurnEvents.ts"
import { Entry } from "./Entries.ts"

const roundTrip = <T, E>(codec: Schema.Codec<T, E>, value: T): T => {
  const json = JSON.stringify(Schema.encodeSync(codec)(value))
  return Schema.decodeUnknownSync(codec)(JSON.parse(json))
}

const isSame = <T, E>(codec: Schema.Codec<T, E>, value: T): void => {
  assert.deepStrictEqual(roundTrip(codec, value), value)
  // As RPC sends it.
  const rpc = Schema.toCodecJson(codec)
  const sent: unknown = JSON.parse(JSON.stringify(Schema.encodeSync(rpc)(value)))
  assert.deepStrictEqual(Schema.decodeUnknownSync(rpc)(sent), value)
}

/** A value as JSON carries it, which has no -0. */
const asSent = <T>(value: T): T => JSON.parse(JSON.stringify(value))

const recorded = ["normalised", "acp-nested", "acp-flat"].map((dialect) => {
  const path = new URL(`../support/dialects/${dialect}.json`, import.meta.url)
  const answer: { readonly events: ReadonlyArray<unknown> } = JSON.parse(readFileSync(path, "utf8"))
  return { dialect, events: answer.events }
})

const sessionId = SessionInfo.sessionId("s-1")
const turnOf = (events: ReadonlyArray<TurnEvent.TurnEvent>) =>
  Turn.make({ sessionId, index: 3, events, stopReason: "end_turn", duration: Duration.millis(1_250) })

describe("a turn decodes from its encoded form exactly", () => {
  for (const { dialect, events } of recorded) {
    it(`recorded, ${dialect}`, () => {
      const turn = turnOf(TurnEvents.decode(events))
      isSame(Turn.Turn, turn)
      assert.notProperty(Schema.encodeSync(Turn.Turn)(turn), "text")
    })
  }

  it("whose chunks were not merged", () => {
    isSame(Turn.Turn, turnOf([TurnEvent.Text({ content: "a" }), TurnEvent.Text({ content: "b" })]))
  })

  it("with late events, of any kind", () => {
    const call = TurnEvent.ToolCall({ name: "Read", id: "c", args: { path: "a" }, rawInput: 1 })
    const late = TurnEvent.Late({ turnIndex: 2, event: TurnEvent.Late({ turnIndex: 1, event: call }) })
    const turn = turnOf([late, TurnEvent.Text({ content: "b" })])
    isSame(Turn.Turn, turn)
    assert.strictEqual(turn.text, "b")
    const event = { type: "tool_call", name: "Read", id: "c", args: { path: "a" }, raw_input: 1 }
    const encoded = { type: "late", turn_index: 2, event: { type: "late", turn_index: 1, event } }
    assert.deepStrictEqual(Schema.encodeSync(TurnEvent.TurnEvent)(late), encoded)
    assert.deepStrictEqual(TurnEvents.decode([encoded]), [late])
  })

  it("with all that is optional, and without", () => {
    isSame(Turn.Turn, { ...turnOf([]), stopReason: null, usage: { inputTokens: 1, costUsd: 0.5 } })
    isSame(Turn.Usage, {})
  })

  it.effect.prop(
    "of any events that were decoded",
    { entries: Schema.Array(Entry) },
    ({ entries }) => Effect.sync(() => isSame(Turn.Turn, turnOf(TurnEvents.decode(asSent(entries))))),
    { arbitrary: { runs: 300 } }
  )
})

describe("an event", () => {
  it.effect.prop(
    "that was decoded alone decodes from its encoded form exactly",
    { raw: Entry },
    ({ raw }) => Effect.sync(() => isSame(TurnEvent.TurnEvent, EventDecoder.make()(asSent(raw)))),
    { arbitrary: { runs: 1_000 } }
  )

  it("that a server added fields to, under names that the wire has for others, decodes from its encoded form exactly", () => {
    const update = (fields: object) => ({ method: "session/update", params: { update: fields } })
    const content = { type: "text", text: "a" }
    const raws = [
      update({ sessionUpdate: "agent_message_chunk", content, type: "x", message_id: "m" }),
      update({ sessionUpdate: "usage_update", used: 1, type: "x", input_tokens: 2 }),
      update({ sessionUpdate: "tool_call", toolCallId: "t", title: "Read", type: "x", raw_input: 1 })
    ]
    const events = TurnEvents.decode(raws)
    assert.deepStrictEqual(
      events.map(({ _tag }) => _tag),
      ["Text", "Usage", "ToolCall"]
    )
    isSame(Turn.Turn, turnOf(events))
    for (const event of events) assert.include(JSON.stringify(event), '"type":"x"')
  })

  it("is encoded with its type, in snake_case, and with what was added to it", () => {
    const [event] = TurnEvents.decode([{ type: "text", content: "a", message_id: "m", added: 1 }])
    if (event === undefined) return assert.fail("no event")
    assert.deepStrictEqual(Schema.encodeSync(TurnEvent.TurnEvent)(event), {
      type: "text",
      content: "a",
      message_id: "m",
      added: 1
    })
  })

  it("may have undefined where a field is optional", () => {
    const call = TurnEvent.ToolCall({ name: "Read", id: undefined, args: undefined })
    assert.deepStrictEqual(roundTrip(TurnEvent.TurnEvent, call), TurnEvent.ToolCall({ name: "Read" }))
  })
})

const at = DateTime.makeUnsafe(1_700_000_000_000)
const info: SessionInfo.SessionInfo = { id: sessionId, agent: "claude", model: null, cwd: "/w", createdAt: at }
const state: SessionInfo.SessionState = { ...info, lastTurnAt: null, turnCount: 0, closedAt: null, meta: null }

describe("every record is built as a plain object, and decodes from its encoded form exactly", () => {
  it("of a session", () => {
    isSame(SessionInfo.SessionId, sessionId)
    isSame(SessionInfo.SessionInfo, { ...info, model: "sonnet" })
    isSame(SessionInfo.SessionState, state)
    const full = { appName: "billing", lastTurnAt: at, turnCount: 2, closedAt: at, meta: { a: [1, null] } }
    isSame(SessionInfo.LiveState, { ...state, ...full, live: false })
  })

  it("of a run", () => {
    isSame(Run.Run, { result: { total: 42 }, duration: Duration.millis(5), stopReason: null })
    isSame(Run.Run, { result: null, duration: Duration.zero, stopReason: "end_turn", usage: { totalTokens: 3 } })
  })

  it("of a server's health", () => {
    isSame(Health.Health, { ok: true, claudePresent: false, features: [] })
    const full = { claudeVersion: "2.1", acpxPresent: true, acpxVersion: "1.0", openSessions: 0 }
    isSame(Health.Health, { ok: true, claudePresent: true, ...full, features: ["stream"] })
  })

  it("of a file, with its token", () => {
    const token = Upload.fileToken("ff_secret")
    isSame(Upload.UploadedFile, { token, size: 3, timeToLive: Duration.hours(1) })
    isSame(Upload.FileToken, token)
    assert.throws(() => Schema.decodeSync(Upload.FileToken)("no token"))
  })

  it("of an app token", () => {
    const token = Redacted.make("cf_secret", { label: "app token" })
    isSame(AppToken.MintedToken, { name: "billing", token })
    isSame(AppToken.MintedToken, { name: "billing", token, ipCidrs: ["10.0.0.0/8"] })
    isSame(AppToken.TokenInfo, { name: "billing", createdAt: at })
  })
})

describe("what the contract writes as null", () => {
  it("is undefined in memory, and null again on the wire", () => {
    const encoded = { ok: true, claude_present: true, claude_version: null, acpx_version: null, features: [] }
    const health = Schema.decodeSync(Health.Health)(encoded)
    assert.deepStrictEqual(health, { ok: true, claudePresent: true, features: [] })
    assert.deepStrictEqual<unknown>(Schema.encodeSync(Health.Health)(health), encoded)
  })
})

describe("events decoded one at a time", () => {
  const oneByOne = (raws: ReadonlyArray<unknown>) => TurnEvents.merge(raws.map(EventDecoder.make()))

  for (const { dialect, events } of recorded) {
    it(`merge to the events of the whole answer: recorded, ${dialect}`, () => {
      assert.deepStrictEqual(oneByOne(events), TurnEvents.decode(events))
    })
  }

  it.effect.prop(
    "merge to the events of the whole answer, whatever it is",
    { entries: Schema.Array(Entry) },
    ({ entries }) => Effect.sync(() => assert.deepStrictEqual(oneByOne(entries), TurnEvents.decode(entries))),
    { arbitrary: { runs: 1_000 } }
  )

  it("show a tool call as it stands with each update", () => {
    const decode = EventDecoder.make()
    const call = (update: object) => ({
      method: "session/update",
      params: { update: { sessionUpdate: "tool_call_update", toolCallId: "t", ...update } }
    })
    const first = decode(call({ title: "Read", status: "pending" }))
    const second = decode(call({ status: "completed", rawOutput: "text" }))
    const third = decode({ type: "tool_call", id: "t", name: "Read", locations: [] })
    const event = { _tag: "ToolCall", name: "Read", id: "t", title: "Read" }
    assert.deepStrictEqual<ReadonlyArray<unknown>>(
      [first, second, third],
      [
        { ...event, status: "pending" },
        { ...event, status: "completed", result: "text" },
        { ...event, status: "completed", result: "text", locations: [] }
      ]
    )
  })

  it(
    "take their time from their number, not its square, also where a call has many events",
    { timeout: 60_000 },
    () => {
      const decode = EventDecoder.make()
      const events = Array.from({ length: 50_000 }, (_, nth) => ({
        type: "tool_call",
        id: "t",
        name: "x",
        status: `${nth}`
      }))
      assert.deepInclude(events.map(decode).at(-1), { status: "49999" })
    }
  )
})
