import { assert, it } from "@effect/vitest"
import { type Cause, Effect, Fiber, Queue } from "effect"
import { TestClock } from "effect/testing"
import type { TurnEvent } from "../../../src/wire/TurnEvent.ts"
import type { AgentFailed, TurnEnd } from "../../../src/agent/Agent.ts"
import type { AgentInbox } from "../../../src/agent/acp/AgentInbox.ts"
import { makeInbox } from "../Support.ts"

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

/** Starts a turn, and returns the events that were pending for it. */
const next = Effect.fnUntraced(function* (inbox: AgentInbox) {
  const events = yield* queue
  yield* Effect.scoped(inbox.attach({ index: 1, events }))
  return yield* Queue.clear(events)
})

it.effect("between turns, updates about the session are kept for the next turn; what belongs to the last is late", () =>
  Effect.gen(function* () {
    const { inbox } = makeInbox("allow")
    yield* inbox.opened({ id: "s", loaded: false })
    const events = yield* queue
    yield* Effect.scoped(
      Effect.gen(function* () {
        yield* inbox.attach({ index: 1, events })
        yield* inbox.update(say("in time"))
        yield* inbox.answered
        yield* inbox.detach
        yield* inbox.update(title("late title"))
      })
    )
    yield* inbox.update(say("too late"))
    yield* inbox.update(title("another's", "t"))
    assert.deepStrictEqual(yield* next(inbox), [
      { _tag: "Late", turnIndex: 1, event: { _tag: "Text", content: "too late" } },
      { _tag: "SessionInfo", title: "late title" }
    ])
    assert.deepStrictEqual(yield* next(inbox), [])
  })
)

it.effect("a tool call with some invalid fields is still a tool call, under the name that it has", () =>
  Effect.gen(function* () {
    const { inbox } = makeInbox("allow")
    yield* inbox.opened({ id: "s", loaded: false })
    const events = yield* queue
    yield* inbox.attach({ index: 1, events })
    const call = { sessionUpdate: "tool_call", toolCallId: "c", title: 42, content: "text", rawInput: { a: 1 } }
    yield* inbox.update({ sessionId: "s", update: call })
    yield* inbox.update({ sessionId: "s", update: { ...call, kind: "read", status: ["completed"] } })
    yield* inbox.update({ sessionId: "s", update: { ...call, toolCallId: 42 } })
    const reported = { _tag: "ToolCall", id: "c", args: { a: 1 } }
    assert.deepStrictEqual<ReadonlyArray<unknown>>(yield* Queue.clear(events), [
      { ...reported, name: "tool" },
      { ...reported, name: "read", kind: "read" },
      { _tag: "Unknown", raw: { ...call, toolCallId: 42 } }
    ])
  })
)

it.effect(
  "the cost of a turn is unknown for the first one after a restore, and in other currencies than US dollars",
  () =>
    Effect.gen(function* () {
      const { inbox } = makeInbox("allow")
      const spend = Effect.fnUntraced(function* (amount: number, currency = "USD") {
        yield* inbox.attach({ index: 1, events: yield* queue })
        const update = { sessionUpdate: "usage_update", cost: { amount, currency } }
        yield* inbox.update({ sessionId: "s", update })
        return (yield* inbox.usage({}))?.costUsd
      }, Effect.scoped)
      yield* inbox.opened({ id: "s", loaded: true })
      assert.deepStrictEqual([yield* spend(5), yield* spend(7)], [undefined, 2])
      assert.isUndefined(yield* spend(900, "JPY"))
    })
)

/** Opens a turn on a new session of an agent whose requests get this answer. */
const inTurn = Effect.fnUntraced(function* (permissions: "allow" | "deny") {
  const { inbox } = makeInbox(permissions)
  yield* inbox.opened({ id: "s", loaded: false })
  const events = yield* queue
  yield* inbox.attach({ index: 1, events })
  const options = [
    { optionId: "y", kind: "allow_once" },
    { optionId: "n", kind: "reject_once" }
  ]
  return {
    inbox,
    update: (update: object) => inbox.update({ sessionId: "s", update }),
    ask: (toolCall: { readonly toolCallId: string; readonly [field: string]: unknown }) =>
      inbox.permission({ sessionId: "s", toolCall, options }),
    asked: (decision: string) => ({ _tag: "Permission", toolCallId: "c", options, decision }),
    /** What has happened since the last time. */
    events: Effect.map(Queue.clear(events), (events): ReadonlyArray<unknown> => events)
  }
})

it.effect("a permission request shows its tool call before the permission, as all that is known of it", () =>
  Effect.gen(function* () {
    const { ask, asked, events, update } = yield* inTurn("allow")
    const toolCall = { toolCallId: "c", title: "rm -r .", kind: "execute", rawInput: { command: "rm" }, status: null }
    yield* ask(toolCall)
    const call = { _tag: "ToolCall", id: "c", name: "rm -r .", title: "rm -r .", kind: "execute" }
    const shown = { ...call, args: { command: "rm" } }
    assert.deepStrictEqual(yield* events, [shown, asked("allow_once")])
    yield* update({ sessionUpdate: "tool_call_update", toolCallId: "c", status: "in_progress" })
    yield* ask({ toolCallId: "c", content: [{ type: "diff" }] })
    const patched = { ...shown, status: "in_progress", blocks: [{ type: "diff" }] }
    assert.deepStrictEqual(yield* events, [{ ...shown, status: "in_progress" }, patched, asked("allow_once")])
    // It says nothing new of the call.
    yield* ask({ toolCallId: "c", title: "rm -r .", rawInput: { command: "rm" } })
    assert.deepStrictEqual(yield* events, [asked("allow_once")])
    // After its end the same id is another call.
    yield* update({ sessionUpdate: "tool_call_update", toolCallId: "c", status: "completed" })
    yield* ask({ toolCallId: "c", title: "ls" })
    assert.deepStrictEqual(yield* events, [
      { ...shown, status: "completed", result: [{ type: "diff" }] },
      { _tag: "ToolCall", id: "c", name: "ls", title: "ls", status: "pending" },
      asked("allow_once")
    ])
  })
)

it.effect("at the end of a turn, calls that were not permitted and that the agent left open are failed", () =>
  Effect.gen(function* () {
    const { ask, events, inbox, update } = yield* inTurn("deny")
    const rejected = { _tag: "ToolCall", id: "c", name: "rm", title: "rm" }
    yield* update({ sessionUpdate: "tool_call", toolCallId: "not asked for", title: "ls" })
    yield* ask({ toolCallId: "ended", title: "ps" })
    yield* update({ sessionUpdate: "tool_call_update", toolCallId: "ended", status: "failed", rawOutput: "no" })
    yield* ask({ toolCallId: "c", title: "rm" })
    yield* inbox.beginCancel
    yield* ask({ toolCallId: "cancelled", title: "mv" })
    yield* events
    yield* inbox.complete
    assert.deepStrictEqual(yield* events, [
      { ...rejected, status: "failed" },
      { _tag: "ToolCall", id: "cancelled", name: "mv", title: "mv", status: "failed" }
    ])
    yield* inbox.complete
    assert.deepStrictEqual(yield* events, [])
  })
)

it.effect("a call that was refused and then permitted is not ended", () =>
  Effect.gen(function* () {
    const { inbox } = makeInbox("allow")
    yield* inbox.opened({ id: "s", loaded: false })
    const events = yield* queue
    yield* inbox.attach({ index: 1, events })
    const toolCall = { toolCallId: "c", title: "ls" }
    const ask = (kind: string) => inbox.permission({ sessionId: "s", toolCall, options: [{ optionId: "o", kind }] })
    yield* ask("reject_once")
    yield* ask("allow_once")
    yield* Queue.clear(events)
    yield* inbox.complete
    assert.deepStrictEqual(yield* Queue.clear(events), [])
  })
)

it.effect("an id that is used again after its call has ended is another call", () =>
  Effect.gen(function* () {
    const { events, update } = yield* inTurn("allow")
    const call = (fields: object) => update({ toolCallId: "call_0", ...fields })
    yield* call({ sessionUpdate: "tool_call", title: "Read", rawInput: { n: 1 } })
    yield* call({ sessionUpdate: "tool_call_update", status: "completed", rawOutput: "one" })
    yield* call({ sessionUpdate: "tool_call", title: "Write" })
    assert.deepStrictEqual((yield* events).at(-1), {
      _tag: "ToolCall",
      id: "call_0",
      name: "Write",
      title: "Write",
      status: "pending"
    })
  })
)

it.effect("a character that the agent cut between two chunks is whole in the second, or at the end U+FFFD", () =>
  Effect.gen(function* () {
    const { events, inbox, update } = yield* inTurn("allow")
    for (const text of ["a\ud83d", "\ude00b", "\ud83d"]) yield* update(say(text).update)
    yield* inbox.complete
    assert.deepStrictEqual(yield* events, [
      { _tag: "Text", content: "a" },
      { _tag: "Text", content: "😀b" },
      { _tag: "Text", content: "�" }
    ])
  })
)

it.effect("of events that supersede each other, only the last is kept", () =>
  Effect.gen(function* () {
    const { inbox } = makeInbox("allow")
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

it.effect("updates before the id of a new session is known are kept if they are of that session", () =>
  Effect.gen(function* () {
    const { inbox } = makeInbox("allow")
    yield* inbox.update(title("mine"))
    yield* inbox.update(title("another's", "t"))
    yield* inbox.opened({ id: "s", loaded: false })
    assert.deepStrictEqual(yield* next(inbox), [{ _tag: "SessionInfo", title: "mine" }])
  })
)

it.effect("updates during a load are dropped as history", () =>
  Effect.gen(function* () {
    const { inbox } = makeInbox("allow")
    yield* inbox.update(say("old"))
    yield* inbox.update(title("old"))
    yield* inbox.opened({ id: "s", loaded: true })
    assert.deepStrictEqual(yield* next(inbox), [])
  })
)

it.effect("the number of updates kept between turns is bounded", () =>
  Effect.gen(function* () {
    const { inbox } = makeInbox("allow")
    yield* inbox.opened({ id: "s", loaded: false })
    for (let index = 0; index < 1_000; index++) yield* inbox.update(title(String(index)))
    const events = yield* next(inbox)
    assert.strictEqual(events.length, 100)
    assert.deepStrictEqual(events.at(-1), { _tag: "SessionInfo", title: "999" })
  })
)

it.effect("permission is granted during a turn, but not between turns, for another session, or after a cancel", () =>
  Effect.gen(function* () {
    const { inbox } = makeInbox("allow")
    yield* inbox.opened({ id: "s", loaded: false })
    const cancelled = { outcome: "cancelled" }
    assert.deepStrictEqual(yield* inbox.permission(request), cancelled)
    yield* next(inbox)
    assert.deepStrictEqual(yield* inbox.permission(request), cancelled)
    yield* inbox.attach({ index: 1, events: yield* queue })
    assert.deepStrictEqual(yield* inbox.permission(request), { outcome: "selected", optionId: "y" })
    assert.deepStrictEqual(yield* inbox.permission({ ...request, sessionId: "t" }), cancelled)
    yield* inbox.beginCancel
    assert.deepStrictEqual(yield* inbox.permission(request), cancelled)
  })
)

const call = (fields: object) => ({ sessionId: "s", update: { toolCallId: "c", ...fields } })

it.effect(
  "late events are merged, with the tool calls of their turn as they stand; a late permission is cancelled",
  () =>
    Effect.gen(function* () {
      const { inbox, lateEvents } = makeInbox("allow")
      yield* inbox.opened({ id: "s", loaded: false })
      const turn = Effect.fnUntraced(function* (index: number) {
        const events = yield* queue
        yield* inbox.attach({ index, events })
        yield* inbox.update(call({ sessionUpdate: "tool_call", title: "Look", rawInput: { at: index } }))
        yield* inbox.answered
      }, Effect.scoped)
      yield* turn(7)
      yield* inbox.update(say("too "))
      yield* inbox.update(say("late"))
      yield* inbox.update(call({ sessionUpdate: "tool_call_update", status: "completed" }))
      assert.deepStrictEqual(yield* inbox.permission(request), { outcome: "cancelled" })
      assert.strictEqual(lateEvents.lost(), 4)
      const late = (event: TurnEvent) => ({ _tag: "Late", turnIndex: 7, event })
      const { options } = request
      assert.deepStrictEqual<ReadonlyArray<unknown>>(yield* next(inbox), [
        late({ _tag: "Text", content: "too late" }),
        late({ _tag: "ToolCall", id: "c", name: "Look", title: "Look", args: { at: 7 }, status: "completed" }),
        late({ _tag: "Permission", toolCallId: "c", options, decision: "cancelled" })
      ])
      assert.strictEqual(lateEvents.lost(), 0)
    })
)

it.effect("the number of late events that are kept is bounded, and the others are counted", () =>
  Effect.gen(function* () {
    const { inbox, lateEvents } = makeInbox("allow")
    yield* inbox.opened({ id: "s", loaded: false })
    yield* Effect.scoped(Effect.andThen(inbox.attach({ index: 1, events: yield* queue }), inbox.answered))
    for (let index = 0; index < 600; index++) yield* inbox.update(say("x"))
    assert.deepStrictEqual(yield* next(inbox), [
      { _tag: "Late", turnIndex: 1, event: { _tag: "Text", content: "x".repeat(500) } }
    ])
    assert.strictEqual(lateEvents.lost(), 100)
  })
)

it.effect(
  "after its answer a turn is open for a quiet time: 75 ms in a process's first, then none, 100 ms once late",
  () =>
    Effect.gen(function* () {
      const { inbox, quietTime } = makeInbox("allow")
      yield* inbox.opened({ id: "s", loaded: false })
      /** A turn whose agent speaks so many milliseconds after its answer; its events, and when it had settled. */
      const turn = Effect.fnUntraced(function* (pauses: ReadonlyArray<number>) {
        const events = yield* queue
        yield* inbox.attach({ index: 1, events })
        yield* inbox.answered
        const settling = yield* Effect.forkChild(inbox.settle, { startImmediately: true })
        for (const millis of pauses) {
          yield* TestClock.adjust(millis)
          yield* inbox.update(title("no part of the turn"))
          yield* inbox.update(say("last words"))
        }
        let millis = 0
        while (settling.pollUnsafe() === undefined) {
          yield* TestClock.adjust(1)
          millis++
        }
        const taken = yield* Queue.clear(events)
        return { millis, texts: taken.filter(({ _tag }) => _tag === "Text").length }
      }, Effect.scoped)
      assert.deepStrictEqual(yield* turn([]), { millis: 75, texts: 0 })
      assert.isAtMost((yield* turn([])).millis, 2)
      quietTime.recordLate()
      assert.deepStrictEqual(yield* turn([63, 99]), { millis: 100, texts: 2 })
      assert.deepStrictEqual(yield* turn([]), { millis: 100, texts: 0 })
    })
)

it.effect("an agent that goes on after its answer holds its turn open for a second at most", () =>
  Effect.gen(function* () {
    const { inbox } = makeInbox("allow")
    yield* inbox.opened({ id: "s", loaded: false })
    yield* inbox.attach({ index: 1, events: yield* queue })
    yield* inbox.answered
    const settling = yield* Effect.forkChild(inbox.settle, { startImmediately: true })
    for (let index = 0; index < 20; index++) {
      assert.isUndefined(settling.pollUnsafe())
      yield* TestClock.adjust("50 millis")
      yield* inbox.update(say("and"))
    }
    yield* Fiber.join(settling)
  })
)

it.effect(
  "history that comes after the answer to a load is no event: it is waited for, and how the session stands is kept",
  () =>
    Effect.gen(function* () {
      const { inbox } = makeInbox("allow")
      yield* inbox.opened({ id: "s", loaded: true })
      const waiting = yield* Effect.forkChild(inbox.historyEnd, { startImmediately: true })
      const notice = { sessionId: "s", update: { sessionUpdate: "notice", text: "old" } }
      for (const update of [say("old"), call({ sessionUpdate: "tool_call", title: "Old" }), notice, title("mine")]) {
        yield* TestClock.adjust("60 millis")
        yield* inbox.update(update)
      }
      assert.isUndefined(waiting.pollUnsafe())
      yield* TestClock.adjust("100 millis")
      yield* Fiber.join(waiting)
      assert.deepStrictEqual(yield* next(inbox), [{ _tag: "SessionInfo", title: "mine" }])
    })
)
