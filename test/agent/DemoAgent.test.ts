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
      assert.include(textOf(first), "I will remember xyzzy.")
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

  it.effect("promises in a sentence of its own, and says what it is", () =>
    Effect.gen(function* () {
      const session = yield* open(definition)
      for (const [asked, promised] of [
        ["Remember the word x for me.", "I will remember x."],
        ["Please remember that my dog is called Rex, for me!", "I will remember that your dog is called Rex."],
        ["Remember what I told you", "I will remember what you told you."],
        ["Remember that I was late, and I've got a cat.", "I will remember that you were late, and you've got a cat."],
        ["I do not remember anything.", "You said “I do not remember anything.”"]
      ] as const) {
        assert.include(textOf(yield* collect(session, prompt(asked))), promised)
      }
      const first = yield* collect(yield* open(definition), prompt("Who are you?"))
      assert.include(textOf(first), "I am the demo agent, not a model.")
    })
  )

  it.effect("answers with JSON, right and wrong, and right after a complaint", () =>
    Effect.gen(function* () {
      const session = yield* open(definition)
      const said = (text: string) => Effect.map(collect(session, prompt(text)), textOf)
      assert.strictEqual(yield* said('/json {"a": 1}\n\nAnswer with JSON.'), '{"a": 1}')
      assert.strictEqual(yield* said('/json-fenced {"a": 1}\nAnswer.'), 'Here it is:\n\n```json\n{"a": 1}\n```')
      assert.strictEqual(yield* said('/json {\n  "a": 1\n}\n\nAnswer with JSON.'), '{\n  "a": 1\n}')
      assert.notInclude(yield* said("/json-wrong"), "{")
      assert.notInclude(yield* said('/json-repaired {"a": 2}\nAnswer.'), "{")
      assert.strictEqual(yield* said("That was no JSON."), '{"a": 2}')
      assert.include(yield* said("And now?"), "You said “And now?”")
    })
  )

  it.effect("says nothing, refuses, and exceeds its context", () =>
    Effect.gen(function* () {
      const session = yield* open(definition)
      const ended = (text: string) =>
        Effect.map(collect(session, prompt(text)), (events) => {
          const end = lastOf(events)
          return [textOf(events), end?._tag === "TurnEnd" ? end.stopReason : undefined]
        })
      assert.deepStrictEqual(yield* ended("/silent"), ["", "end_turn"])
      assert.deepStrictEqual(yield* ended("/refuse"), ["I will not do that.", "refusal"])
      assert.deepStrictEqual(yield* ended("/overflow"), ["This is longer than", "max_tokens"])
    })
  )

  it.effect("takes the time that it is asked to take, until it is cancelled", () =>
    Effect.gen(function* () {
      const session = yield* open(definition)
      for (const slow of ["/sleep 60", "Take your time."]) {
        const events = yield* Stream.runCollect(session.turn(prompt(slow), Effect.void))
        assert.deepInclude(lastOf(events), { _tag: "TurnEnd", stopReason: "cancelled" })
      }
      assert.strictEqual(textOf(yield* collect(session, prompt("/sleep 0.01"))), "I took 0.01 seconds.")
      assert.strictEqual(textOf(yield* collect(session, prompt("/sleep 1\nAnswer."))), "I took 1 second.")
    })
  )

  it.effect("runs a tool and writes a file in its folder, if it is permitted", () =>
    Effect.gen(function* () {
      const fs = yield* FileSystem.FileSystem
      const cwd = yield* temporaryFolder
      const session = yield* open(definition, { cwd })
      const ran = yield* collect(session, prompt("/tool npm test"))
      assert.strictEqual(textOf(ran), "I ran npm test.")
      assert.isTrue(ran.some(({ _tag }) => _tag === "Permission"))
      const wrote = yield* collect(session, prompt("/write notes/a.txt Buy milk."))
      assert.strictEqual(textOf(wrote), "I wrote notes/a.txt.")
      assert.strictEqual(yield* fs.readFileString(`${cwd}/notes/a.txt`), "Buy milk.")
      assert.strictEqual(textOf(yield* collect(session, prompt("/write ../a.txt no"))), "I could not write ../a.txt.")

      const denied = yield* open({ ...definition, permissions: "deny" }, { cwd })
      assert.strictEqual(textOf(yield* collect(denied, prompt("/tool x"))), "I was not allowed to run x.")
      assert.strictEqual(textOf(yield* collect(denied, prompt("/write b.txt no"))), "I could not write b.txt.")
      assert.isFalse(yield* fs.exists(`${cwd}/b.txt`))
    })
  )

  it.effect("crashes in the middle of a turn", () =>
    Effect.gen(function* () {
      const session = yield* open(definition)
      const failed = yield* Effect.flip(collect(session, prompt("/crash")))
      assert.include(failed.error, "SIGKILL")
      assert.include(failed.stderr, "crashing, as the prompt asks")
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
