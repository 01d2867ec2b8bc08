import { assert, layer } from "@effect/vitest"
import { Deferred, Effect, Fiber, FileSystem, Stream } from "effect"
import { definition } from "../../src/agent/DemoAgent.ts"
import { collect, isAlive, lastOf, open, Platform, prompt, temporaryFolder, textOf } from "./Support.ts"

const remember = "Remember the word xyzzy."
const ask = "Which word did I tell you?"

layer(Platform, { excludeTestServices: true, concurrent: true })("the demo agent", (it) => {
  it.effect("remembers in the second turn what the first one said", () =>
    Effect.gen(function* () {
      const session = yield* open(definition)
      const first = yield* collect(session, prompt(remember))
      assert.include(textOf(first), "I will remember the word xyzzy.")
      const second = yield* collect(session, prompt(ask))
      assert.include(textOf(second), "You told me the word xyzzy.")
      const kinds = new Set(second.map((event) => event._tag))
      for (const kind of ["Thinking", "Plan", "Text", "Usage", "TurnEnd"] as const) assert.isTrue(kinds.has(kind), kind)
      assert.isAbove(second.filter((event) => event._tag === "Text").length, 3)
      const end = lastOf(second)
      assert.isTrue(end?._tag === "TurnEnd" && end.stopReason === "end_turn" && end.usage?.totalTokens !== undefined)
    })
  )

  it.effect("takes the word from statements, not from questions", () =>
    Effect.gen(function* () {
      const session = yield* open(definition)
      yield* collect(session, prompt("The secret word for today is plumbus."))
      yield* collect(session, prompt("Which word did I tell you?"))
      const third = yield* collect(session, prompt("Please say the word again."))
      assert.include(textOf(third), "You told me the word plumbus.")
      yield* collect(session, prompt(`${"long ".repeat(200)} My secret is plumbus-77.`))
      assert.include(textOf(yield* collect(session, prompt("What is it?"))), "My secret is plumbus-77.")
    })
  )

  it.effect("keeps sessions apart, and answers the same prompts in the same way", () =>
    Effect.gen(function* () {
      const [one, other] = yield* Effect.all([open(definition), open(definition)], { concurrency: 2 })
      yield* collect(one, prompt(remember))
      assert.notInclude(textOf(yield* collect(other, prompt(ask))), "xyzzy")
      yield* collect(other, prompt(remember))
      const again = yield* open(definition)
      yield* collect(again, prompt(remember))
      const answers = yield* Effect.forEach([one, again], (session) => collect(session, prompt(ask)))
      assert.strictEqual(textOf(answers[0] ?? []), textOf(answers[1] ?? []))
    })
  )

  it.effect("reads an attached file with a tool that asks for permission", () =>
    Effect.gen(function* () {
      const fs = yield* FileSystem.FileSystem
      const path = `${yield* temporaryFolder}/attachment-1.txt`
      yield* fs.writeFileString(path, "First line\nSecond line\n")
      const session = yield* open(definition)
      const events = yield* collect(session, prompt("What is in it?", { files: [{ name: "notes.txt", path }] }))
      assert.include(textOf(events), "I read notes.txt: 2 lines. It begins with “First line”.")
      const calls = events.filter((event) => event._tag === "ToolCall")
      assert.deepStrictEqual(calls[0]?.args, {})
      assert.deepStrictEqual(lastOf(calls), {
        _tag: "ToolCall",
        name: "Read notes.txt",
        id: "read-1-1",
        title: "Read notes.txt",
        kind: "read",
        status: "completed",
        args: { path },
        result: "First line\nSecond line\n",
        locations: [{ path }]
      })
      const order = events.map(({ _tag }) => _tag).filter((tag) => tag === "ToolCall" || tag === "Permission")
      assert.deepStrictEqual(order, ["ToolCall", "ToolCall", "Permission", "ToolCall", "ToolCall"])
    })
  )

  it.effect("does not read an attached file if the policy denies it", () =>
    Effect.gen(function* () {
      const session = yield* open({ ...definition, permissions: "deny" })
      const events = yield* collect(
        session,
        prompt("What is in it?", { files: [{ name: "a", path: "/etc/hostname" }] })
      )
      const permission = events.find((event) => event._tag === "Permission")
      assert.strictEqual(permission?.decision, "reject_once")
      assert.include(textOf(events), "I could not read a.")
    })
  )

  it.effect("can be cancelled in the middle of an answer, keeps the text so far, and takes the next turn", () =>
    Effect.gen(function* () {
      const session = yield* open(definition)
      const speaking = yield* Deferred.make<void>()
      const asked = yield* Deferred.make<void>()
      const fiber = yield* session.turn(prompt("/wait"), Deferred.await(asked)).pipe(
        Stream.tap(() => Deferred.succeed(speaking, undefined)),
        Stream.runCollect,
        Effect.forkChild
      )
      yield* Deferred.await(speaking)
      yield* Deferred.succeed(asked, undefined)
      const events = yield* Fiber.join(fiber)
      assert.strictEqual(textOf(events), "Waiting.")
      const end = lastOf(events)
      assert.isTrue(end?._tag === "TurnEnd" && end.stopReason === "cancelled")
      assert.strictEqual(textOf(yield* collect(session, prompt("/echo still here"))), "still here")
    })
  )

  it.effect("interrupting a turn cancels it, and the same process takes the next one", () =>
    Effect.gen(function* () {
      const session = yield* open(definition)
      yield* session.turn(prompt("/wait")).pipe(Stream.take(1), Stream.runDrain)
      assert.strictEqual(textOf(yield* collect(session, prompt("/echo still here"))), "still here")
      assert.isTrue(isAlive(session.pid))
    })
  )

  it.effect("restores a session in another process, without repeating its history as events", () =>
    Effect.gen(function* () {
      const cwd = yield* temporaryFolder
      const first = yield* Effect.scoped(
        Effect.gen(function* () {
          const session = yield* open(definition, { cwd })
          yield* collect(session, prompt(remember))
          return { id: session.id, pid: session.pid }
        })
      )
      assert.isFalse(isAlive(first.pid))
      const session = yield* open(definition, { cwd, load: first.id })
      assert.strictEqual(session.id, first.id)
      const events = yield* collect(session, prompt(ask))
      assert.match(textOf(events), /^You told me the word xyzzy\./)
    })
  )

  it.effect("restoring an unknown session fails", () =>
    Effect.gen(function* () {
      const failure = yield* Effect.flip(open(definition, { load: "nope" }))
      assert.strictEqual(failure.message, "Agent demo could not restore session nope: Session not found: nope")
    })
  )

  it.effect("accepts its own models and efforts, and refuses others", () =>
    Effect.gen(function* () {
      const session = yield* open(definition, { model: "demo-terse", effort: "high" })
      const events = yield* collect(session, prompt("Hello."))
      assert.strictEqual(textOf(events), "You said “Hello.”")
      assert.strictEqual(events.filter(({ _tag }) => _tag === "Thinking").length, 3)
      const failure = yield* Effect.flip(open(definition, { model: "gpt" }))
      assert.strictEqual(failure._tag === "AgentOptionRefused" && failure.option, "model")
      assert.strictEqual(
        failure.message,
        'Agent demo refused the model gpt: There is no model "gpt"; it has demo, demo-terse'
      )
    })
  )

  it.effect("the commands /fail, /exit and /chunks work", () =>
    Effect.gen(function* () {
      const session = yield* open(definition)
      assert.strictEqual(
        (yield* Effect.flip(collect(session, prompt("/fail no luck")))).error,
        "Agent demo failed the turn: no luck"
      )
      assert.strictEqual(textOf(yield* collect(session, prompt("/chunks 3"))), "1 2 3 ")
      assert.strictEqual(
        (yield* Effect.flip(collect(session, prompt("/exit 4")))).error,
        "Agent demo exited with code 4."
      )
    })
  )
})
