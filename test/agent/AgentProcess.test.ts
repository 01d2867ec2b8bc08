import { assert, layer } from "@effect/vitest"
import { Deferred, Duration, Effect, Exit, Fiber, FileSystem, Schedule, Scope, Stream } from "effect"
import type { AgentDefinition } from "../../src/agent/Agent.ts"
import * as AgentProcess from "../../src/agent/AgentProcess.ts"
import {
  collect,
  gone,
  isAlive,
  lastOf,
  misbehaving,
  open,
  Platform,
  prompt,
  temporaryFolder,
  textOf
} from "./Support.ts"

/** The failure of a turn, and the text that came before it. */
const failedTurn = Effect.fnUntraced(function* (behaviour: string, turn = prompt("go")) {
  const session = yield* open(misbehaving(behaviour))
  let text = ""
  const failure = yield* session.turn(turn).pipe(
    Stream.runForEach((event) =>
      Effect.sync(() => {
        if (event._tag === "Text") text += event.content
      })
    ),
    Effect.flip
  )
  return { failure, session, text }
})

layer(Platform, { excludeTestServices: true })("an agent that cannot be opened", (it) => {
  const cases: ReadonlyArray<readonly [name: string, behaviour: string, error: string, stopReason: string]> = [
    ["is silent at initialize", "silent", "Agent odd did not answer initialize within 700ms.", "timeout"],
    ["is silent at session/new", "silent-new", "Agent odd did not answer session/new within 700ms.", "timeout"],
    ["speaks another version", "version", "Agent odd speaks version 2 of the protocol, not 1.", "error"],
    [
      "is not logged in",
      "refuse-new",
      "Agent odd could not open a session: Authentication required: the agent is not logged in, or its key is not valid",
      "error"
    ],
    ["exits at start", "exit-at-start", "Agent odd exited with code 7.", "error"]
  ]
  for (const [name, behaviour, error, stopReason] of cases) {
    it.effect(`that ${name}: one sentence`, () =>
      Effect.gen(function* () {
        const failure = yield* Effect.flip(open(misbehaving(behaviour), { stepTimeout: "700 millis" }))
        assert.strictEqual(failure._tag, "AgentFailed")
        assert.strictEqual(failure.message, error)
        if (failure._tag === "AgentFailed") assert.strictEqual(failure.stopReason, stopReason)
      })
    )
  }

  it.effect("a failure at start carries the tail of standard error", () =>
    Effect.gen(function* () {
      const failure = yield* Effect.flip(open(misbehaving("exit-at-start")))
      assert.strictEqual(failure._tag === "AgentFailed" && failure.stderr, "no such model\n")
    })
  )

  it.effect("a command that is not there, and a folder that is not there: one sentence each", () =>
    Effect.gen(function* () {
      const missing: AgentDefinition = { name: "odd", command: ["/nowhere/agent"], permissions: "allow" }
      const noCommand = yield* Effect.flip(open(missing))
      assert.strictEqual(noCommand.message, "Agent odd cannot start: the command /nowhere/agent was not found.")
      const noFolder = yield* Effect.flip(AgentProcess.open(misbehaving("many"), { cwd: "/nowhere" }))
      assert.strictEqual(noFolder.message, "Agent odd cannot start: its working directory /nowhere cannot be used.")
    })
  )

  it.effect("an agent that cannot load says so when it is asked to", () =>
    Effect.gen(function* () {
      const failure = yield* Effect.flip(open(misbehaving("many"), { load: "session-1" }))
      assert.strictEqual(failure.message, "Agent odd cannot bring a session back.")
    })
  )

  it.effect("is held in the mode that its definition has, and not opened where it does not enter it", () =>
    Effect.gen(function* () {
      const session = yield* open({ ...misbehaving("mode"), mode: "calm" })
      assert.strictEqual(textOf(yield* collect(session, prompt("Which mode?"))), "calm")
      const failure = yield* Effect.flip(open({ ...misbehaving("mode"), mode: "silly" }))
      assert.strictEqual(failure.message, "Agent odd could not enter the mode silly: No such mode")
    })
  )

  it.effect("a model that the agent has no option for is refused as such", () =>
    Effect.gen(function* () {
      const failure = yield* Effect.flip(open(misbehaving("many"), { model: "big" }))
      assert.strictEqual(failure._tag, "AgentOptionRefused")
      assert.strictEqual(failure.message, "Agent odd has no option for the model.")
    })
  )
})

layer(Platform, { excludeTestServices: true })("an agent that ends in the middle of a turn", (it) => {
  it.effect("with exit code 0: the turn fails, after what was said", () =>
    Effect.gen(function* () {
      const { failure, session, text } = yield* failedTurn("exit0")
      assert.strictEqual(failure.error, "Agent odd exited with code 0.")
      assert.strictEqual(text, "before")
      assert.strictEqual((yield* session.exited).error, "Agent odd exited with code 0.")
    })
  )

  it.effect("with another exit code: the failure names it and carries standard error", () =>
    Effect.gen(function* () {
      const { failure, text } = yield* failedTurn("exit3")
      assert.strictEqual(failure.error, "Agent odd exited with code 3.")
      assert.strictEqual(failure.stderr, "the disk is on fire\n")
      assert.strictEqual(failure.stopReason, "error")
      assert.strictEqual(text, "before")
    })
  )

  it.effect("by a signal: the failure names it", () =>
    Effect.gen(function* () {
      assert.strictEqual((yield* failedTurn("sigkill")).failure.error, "Agent odd was ended by SIGKILL.")
    })
  )

  it.effect("a turn after that fails at once with the same sentence", () =>
    Effect.gen(function* () {
      const { session } = yield* failedTurn("exit3")
      const failure = yield* Effect.flip(collect(session, prompt("again")))
      assert.strictEqual(failure.error, "Agent odd exited with code 3.")
    })
  )

  it.effect("by closing its output while it lives on: it is ended", () =>
    Effect.gen(function* () {
      const { failure, session, text } = yield* failedTurn("close-output")
      assert.strictEqual(failure.error, "Agent odd closed its output and was ended.")
      assert.strictEqual(text, "before")
      yield* gone([session.pid], "1 second")
    })
  )

  it.effect("though a descendant holds its output open: the turn does not wait for that", () =>
    Effect.gen(function* () {
      const { failure, text } = yield* failedTurn("held-output")
      assert.strictEqual(failure.error, "Agent odd exited with code 0.")
      const pids: ReadonlyArray<number> = JSON.parse(text)
      assert.isTrue(pids.every(isAlive))
    })
  )

  it.effect("by an answer that is an error: the failure has the agent's words, and the process lives", () =>
    Effect.gen(function* () {
      const { failure, session } = yield* failedTurn("refuse")
      assert.strictEqual(failure.error, "Agent odd failed the turn: Internal error: no credit")
      assert.isTrue(isAlive(session.pid))
    })
  )

  it.effect("by an error of a kind: the failure names it", () =>
    Effect.gen(function* () {
      const { failure } = yield* failedTurn("refuse-kind")
      assert.strictEqual(failure.error, "Agent odd failed the turn: billing_error: No credit")
    })
  )
})

layer(Platform, { excludeTestServices: true })("what an agent says", (it) => {
  it.effect("two thousand chunks come complete and in order, before the end", () =>
    Effect.gen(function* () {
      const events = yield* collect(yield* open(misbehaving("many")), prompt("go"))
      assert.strictEqual(events.length, 2_001)
      assert.strictEqual(textOf(events), Array.from({ length: 2_000 }, (_, index) => `${index} `).join(""))
      assert.deepStrictEqual(lastOf(events), { _tag: "TurnEnd", stopReason: "end_turn" })
    })
  )

  it.effect("a turn has cost what the session's cost grew by", () =>
    Effect.gen(function* () {
      const session = yield* open(misbehaving("cost"))
      const ends = [yield* collect(session, prompt("one")), yield* collect(session, prompt("two"))].map(lastOf)
      const end = { _tag: "TurnEnd", stopReason: "end_turn", usage: { costUsd: 0.25 } } as const
      assert.deepStrictEqual(ends, [end, end])
    })
  )

  it.effect("a reader that falls behind loses nothing", () =>
    Effect.gen(function* () {
      const session = yield* open(misbehaving("many"))
      let count = 0
      yield* session.turn(prompt("go")).pipe(
        Stream.rechunk(1),
        Stream.runForEach(() => (++count % 500 === 0 ? Effect.sleep("20 millis") : Effect.void))
      )
      assert.strictEqual(count, 2_001)
    })
  )

  it.effect("an unknown kind is kept, another session's update is not, a second answer is ignored", () =>
    Effect.gen(function* () {
      const session = yield* open(misbehaving("odd"))
      const events = yield* collect(session, prompt("go"))
      assert.deepStrictEqual(events, [
        { _tag: "Unknown", raw: { sessionUpdate: "telepathy", thought: 1 } },
        { _tag: "Text", content: "ours" },
        { _tag: "TurnEnd", stopReason: "end_turn" }
      ])
      assert.strictEqual((yield* collect(session, prompt("again"))).length, 3)
    })
  )

  it.effect("lines that are no messages are passed over, and kept for the failure that they may explain", () =>
    Effect.gen(function* () {
      const events = yield* collect(yield* open(misbehaving("garbage")), prompt("go"))
      assert.deepStrictEqual(events, [
        { _tag: "Text", content: "clean" },
        { _tag: "TurnEnd", stopReason: "end_turn" }
      ])
    })
  )

  it.effect("nothing but noise ends it", () =>
    Effect.gen(function* () {
      const { failure } = yield* failedTurn("flood")
      assert.strictEqual(failure.error, "Agent odd wrote more than 1000 lines that are no messages.")
      assert.include(failure.stderr, "noise")
    })
  )
})

layer(Platform, { excludeTestServices: true })("the environment of an agent", (it) => {
  it.effect("is the allowlist and what the definition gives, and nothing of the server's own", () =>
    Effect.gen(function* () {
      process.env["CLAWDFORGE_ADMIN_TOKEN"] = "canary-admin"
      process.env["AGENT_TEST_SECRET"] = "canary-secret"
      process.env["AGENT_TEST_PASSED"] = "passed"
      yield* Effect.addFinalizer(() =>
        Effect.sync(() => {
          delete process.env["CLAWDFORGE_ADMIN_TOKEN"]
          delete process.env["AGENT_TEST_SECRET"]
          delete process.env["AGENT_TEST_PASSED"]
        })
      )
      const session = yield* open({
        ...misbehaving("environment"),
        env: { GIVEN: "given" },
        passEnv: ["AGENT_TEST_PASSED", "CLAWDFORGE_ADMIN_TOKEN"]
      })
      const environment: Record<string, string> = JSON.parse(textOf(yield* collect(session, prompt("go"))))
      assert.strictEqual(environment["GIVEN"], "given")
      assert.strictEqual(environment["AGENT_TEST_PASSED"], "passed")
      assert.strictEqual(environment["PATH"], process.env["PATH"])
      assert.notInclude(JSON.stringify(environment), "canary")
      const expected = ["PATH", "HOME", "LANG", "TMPDIR", "GIVEN", "AGENT_TEST_PASSED", "FORGE_AGENT_MARK"]
      assert.deepStrictEqual(
        Object.keys(environment).filter((name) => !expected.includes(name)),
        []
      )
    })
  )
})

layer(Platform, { excludeTestServices: true })("cancelling", (it) => {
  /** Starts a turn and waits for the first thing that it says. */
  const started = Effect.fnUntraced(function* (behaviour: string, turn = prompt("go")) {
    const session = yield* open(misbehaving(behaviour))
    const speaking = yield* Deferred.make<void>()
    const asked = yield* Deferred.make<void>()
    const fiber = yield* session.turn(turn, Deferred.await(asked)).pipe(
      Stream.tap(() => Deferred.succeed(speaking, undefined)),
      Stream.runCollect,
      Effect.forkChild
    )
    yield* Deferred.await(speaking)
    return { session, fiber, cancel: Deferred.succeed(asked, undefined) }
  })

  it.effect("refuses every permission that is asked for meanwhile", () =>
    Effect.gen(function* () {
      const { cancel, fiber, session } = yield* started("permission-in-cancel")
      yield* cancel
      const events = yield* Fiber.join(fiber)
      assert.strictEqual(textOf(events), "workingtold cancelled")
      assert.deepInclude(events, {
        _tag: "Permission",
        toolCallId: "call-1",
        options: [{ optionId: "yes", name: "Yes", kind: "allow_once" }],
        decision: "cancelled"
      })
      assert.deepStrictEqual(lastOf(events), { _tag: "TurnEnd", stopReason: "cancelled" })
      assert.isTrue(isAlive(session.pid))
    })
  )

  it.effect("an agent that ignores it loses its process, and the turn ends as cancelled", () =>
    Effect.gen(function* () {
      const { cancel, fiber, session } = yield* started("ignore-cancel")
      yield* cancel
      assert.deepStrictEqual(lastOf(yield* Fiber.join(fiber)), { _tag: "TurnEnd", stopReason: "cancelled" })
      assert.strictEqual((yield* session.exited).error, "Agent odd did not obey a cancel and was ended.")
      yield* gone([session.pid], "100 millis")
    })
  )

  it.effect("an agent that ignores SIGTERM too is killed", () =>
    Effect.gen(function* () {
      const { fiber, session } = yield* started("ignore-term")
      yield* Fiber.interrupt(fiber)
      yield* gone([session.pid], "100 millis")
    })
  )

  it.effect("a turn that is out of time fails as such", () =>
    Effect.gen(function* () {
      const { fiber } = yield* started("permission-in-cancel", prompt("go", { timeout: Duration.millis(300) }))
      const failure = yield* Effect.flip(Fiber.join(fiber))
      assert.strictEqual(failure.error, "Agent odd did not finish the turn within 300ms.")
      assert.strictEqual(failure.stopReason, "timeout")
    })
  )

  it.effect("a turn that was to be cancelled before it began ends as such", () =>
    Effect.gen(function* () {
      const session = yield* open(misbehaving("permission-in-cancel"))
      const events = yield* Stream.runCollect(session.turn(prompt("go"), Effect.void))
      assert.deepStrictEqual(lastOf(events), { _tag: "TurnEnd", stopReason: "cancelled" })
    })
  )

  it.effect("an agent that calls it an end like any other has been cancelled all the same", () =>
    Effect.gen(function* () {
      const { cancel, fiber } = yield* started("end-on-cancel")
      yield* cancel
      const events = yield* Fiber.join(fiber)
      assert.deepStrictEqual(lastOf(events), { _tag: "TurnEnd", stopReason: "cancelled" })
    })
  )
})

layer(Platform, { excludeTestServices: true })("the end of a session", (it) => {
  const inOwnScope = Effect.fnUntraced(function* (behaviour: string) {
    const scope = yield* Scope.make()
    const session = yield* open(misbehaving(behaviour)).pipe(Scope.provide(scope))
    return { session, close: Scope.close(scope, Exit.void) }
  })

  it.effect("takes its descendants along, in its group or out of it, obedient or not", () =>
    Effect.gen(function* () {
      const { close, session } = yield* inOwnScope("strays")
      const pids: ReadonlyArray<number> = JSON.parse(textOf(yield* collect(session, prompt("go"))))
      assert.strictEqual(pids.filter(isAlive).length, 4)
      yield* close
      yield* gone([session.pid, ...pids], "100 millis")
    })
  )

  it.effect("takes along what an agent left behind that ended by itself", () =>
    Effect.gen(function* () {
      const { close, session } = yield* inOwnScope("strays-exit")
      let text = ""
      yield* session.turn(prompt("go")).pipe(
        Stream.runForEach((event) => Effect.sync(() => (event._tag === "Text" ? (text += event.content) : text))),
        Effect.ignore
      )
      const pids: ReadonlyArray<number> = JSON.parse(text)
      yield* close
      yield* gone([session.pid, ...pids], "100 millis")
    })
  )

  it.effect("in the middle of a turn fails the turn", () =>
    Effect.gen(function* () {
      const { close, session } = yield* inOwnScope("ignore-cancel")
      const speaking = yield* Deferred.make<void>()
      const fiber = yield* session.turn(prompt("go")).pipe(
        Stream.tap(() => Deferred.succeed(speaking, undefined)),
        Stream.runDrain,
        Effect.forkChild
      )
      yield* Deferred.await(speaking)
      yield* close
      assert.strictEqual((yield* Effect.flip(Fiber.join(fiber))).error, "Agent odd was closed.")
      yield* gone([session.pid], "100 millis")
    })
  )

  it.effect("is at once where it could not be opened", () =>
    Effect.gen(function* () {
      const fs = yield* FileSystem.FileSystem
      const cwd = yield* temporaryFolder
      yield* Effect.flip(AgentProcess.open(misbehaving("version"), { cwd }))
      yield* gone([Number(yield* fs.readFileString(`${cwd}/pid`))], "100 millis")
    })
  )

  it.effect("is at once where opening it was interrupted", () =>
    Effect.gen(function* () {
      const fs = yield* FileSystem.FileSystem
      const cwd = yield* temporaryFolder
      const fiber = yield* AgentProcess.open(misbehaving("silent"), { cwd }).pipe(Effect.scoped, Effect.forkChild)
      const pid = yield* fs.readFileString(`${cwd}/pid`).pipe(
        Effect.filterOrFail((text) => text !== ""),
        Effect.retry(Schedule.spaced("10 millis")),
        Effect.map(Number)
      )
      assert.isTrue(isAlive(pid))
      yield* Fiber.interrupt(fiber)
      yield* gone([pid], "100 millis")
    })
  )
})
