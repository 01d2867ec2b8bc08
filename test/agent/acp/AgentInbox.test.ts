import { assert, it } from "@effect/vitest"
import { type Cause, Effect, Queue } from "effect"
import type { TurnEvent } from "../../../src/wire/TurnEvent.ts"
import type { AgentFailed, TurnEnd } from "../../../src/agent/Agent.ts"
import * as AgentInbox from "../../../src/agent/acp/AgentInbox.ts"

const queue = Queue.bounded<TurnEvent | TurnEnd, AgentFailed | Cause.Done>(1_024)
const say = (text: string, sessionId = "s") => ({
  sessionId,
  update: { sessionUpdate: "agent_message_chunk", content: { type: "text", text } }
})
const title = (text: string, sessionId = "s") => ({
  sessionId,
  update: { sessionUpdate: "session_info_update", title: text }
})
const request = { sessionId: "s", toolCall: { toolCallId: "c" }, options: [{ optionId: "y", kind: "allow_once" }] }

/** What a turn that starts now begins with. */
const next = Effect.fnUntraced(function* (inbox: AgentInbox.AgentInbox) {
  const events = yield* queue
  yield* Effect.scoped(inbox.attach(events))
  return yield* Queue.clear(events)
})

it.effect("between turns, what is about the session is kept for the next, and the rest is of the past", () =>
  Effect.gen(function* () {
    const inbox = AgentInbox.make("allow")
    yield* inbox.opened({ id: "s", loaded: false })
    const events = yield* queue
    yield* Effect.scoped(
      Effect.gen(function* () {
        yield* inbox.attach(events)
        yield* inbox.update(say("in time"))
        yield* Queue.end(events)
        yield* inbox.update(title("late title"))
      })
    )
    yield* inbox.update(say("too late"))
    yield* inbox.update(title("another's", "t"))
    assert.deepStrictEqual(yield* next(inbox), [{ _tag: "SessionInfo", title: "late title" }])
    assert.deepStrictEqual(yield* next(inbox), [])
  })
)

it.effect("a tool call that gets some of its fields wrong is one all the same, under what name it has", () =>
  Effect.gen(function* () {
    const inbox = AgentInbox.make("allow")
    yield* inbox.opened({ id: "s", loaded: false })
    const events = yield* queue
    yield* inbox.attach(events)
    const call = { sessionUpdate: "tool_call", toolCallId: "c", title: 42, content: "text", rawInput: { a: 1 } }
    yield* inbox.update({ sessionId: "s", update: call })
    yield* inbox.update({ sessionId: "s", update: { ...call, kind: "read", status: ["completed"] } })
    yield* inbox.update({ sessionId: "s", update: { ...call, toolCallId: 42 } })
    const told = { _tag: "ToolCall", id: "c", args: { a: 1 } }
    assert.deepStrictEqual<ReadonlyArray<unknown>>(yield* Queue.clear(events), [
      { ...told, name: "tool" },
      { ...told, name: "read", kind: "read" },
      { _tag: "Unknown", raw: { ...call, toolCallId: 42 } }
    ])
  })
)

it.effect(
  "what a turn has cost is not known of the first of a session that was brought back, nor in other money than dollars",
  () =>
    Effect.gen(function* () {
      const inbox = AgentInbox.make("allow")
      const spend = Effect.fnUntraced(function* (amount: number, currency = "USD") {
        yield* inbox.attach(yield* queue)
        const update = { sessionUpdate: "usage_update", cost: { amount, currency } }
        yield* inbox.update({ sessionId: "s", update })
        return yield* inbox.cost
      }, Effect.scoped)
      yield* inbox.opened({ id: "s", loaded: true })
      assert.deepStrictEqual([yield* spend(5), yield* spend(7)], [undefined, 2])
      assert.isUndefined(yield* spend(900, "JPY"))
    })
)

it.effect("of what replaces itself, only the last is news", () =>
  Effect.gen(function* () {
    const inbox = AgentInbox.make("allow")
    const commands = (name: string) => ({
      sessionId: "s",
      update: { sessionUpdate: "available_commands_update", availableCommands: [{ name }] }
    })
    yield* inbox.opened({ id: "s", loaded: false })
    for (const update of [commands("one"), title("first"), commands("two"), title("second")]) {
      yield* inbox.update(update)
    }
    assert.deepStrictEqual(yield* next(inbox), [
      { _tag: "SessionInfo", title: "first" },
      { _tag: "Commands", commands: [{ name: "two" }] },
      { _tag: "SessionInfo", title: "second" }
    ])
  })
)

it.effect("what a new session says before its id is known is kept, if it is its own", () =>
  Effect.gen(function* () {
    const inbox = AgentInbox.make("allow")
    yield* inbox.update(title("mine"))
    yield* inbox.update(title("another's", "t"))
    yield* inbox.opened({ id: "s", loaded: false })
    assert.deepStrictEqual(yield* next(inbox), [{ _tag: "SessionInfo", title: "mine" }])
  })
)

it.effect("what comes while a session is loaded is history", () =>
  Effect.gen(function* () {
    const inbox = AgentInbox.make("allow")
    yield* inbox.update(say("old"))
    yield* inbox.update(title("old"))
    yield* inbox.opened({ id: "s", loaded: true })
    assert.deepStrictEqual(yield* next(inbox), [])
  })
)

it.effect("what is kept between turns is bounded", () =>
  Effect.gen(function* () {
    const inbox = AgentInbox.make("allow")
    yield* inbox.opened({ id: "s", loaded: false })
    for (let index = 0; index < 1_000; index++) yield* inbox.update(title(String(index)))
    const events = yield* next(inbox)
    assert.strictEqual(events.length, 100)
    assert.deepStrictEqual(events.at(-1), { _tag: "SessionInfo", title: "999" })
  })
)

it.effect("a permission is given in a turn, and not between turns, for another session, or while it is cancelled", () =>
  Effect.gen(function* () {
    const inbox = AgentInbox.make("allow")
    yield* inbox.opened({ id: "s", loaded: false })
    const cancelled = { outcome: "cancelled" }
    assert.deepStrictEqual(yield* inbox.permission(request), cancelled)
    yield* next(inbox)
    assert.deepStrictEqual(yield* inbox.permission(request), cancelled)
    yield* inbox.attach(yield* queue)
    assert.deepStrictEqual(yield* inbox.permission(request), { outcome: "selected", optionId: "y" })
    assert.deepStrictEqual(yield* inbox.permission({ ...request, sessionId: "t" }), cancelled)
    yield* inbox.cancelling
    assert.deepStrictEqual(yield* inbox.permission(request), cancelled)
  })
)
