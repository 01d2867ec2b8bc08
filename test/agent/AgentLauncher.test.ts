import { assert, layer } from "@effect/vitest"
import { Deferred, Effect, Exit, Fiber, FileSystem, Scope, Stream } from "effect"
import { TestClock } from "effect/testing"
import type { AgentDefinition } from "../../src/agent/Agent.ts"
import { collect, isAlive, misbehaving, open, Platform, prompt, temporaryFolder, textOf } from "./Support.ts"
import { eventually } from "../support/Eventually.ts"

layer(Platform, { excludeTestServices: true, concurrent: true })("opening a session fails", (it) => {
  const cases: ReadonlyArray<readonly [name: string, behaviour: string, error: string]> = [
    ["speaks another version", "version", "Agent odd speaks protocol version 2, not 1."],
    ["sends its version as a string", "version-text", 'Agent odd speaks protocol version "1", not 1.'],
    [
      "sends a long string as its version",
      "version-long",
      `Agent odd speaks protocol version "${"9".repeat(99)}, not 1.`
    ],
    [
      "has a longer id for the session than can be kept",
      "long-id",
      "Agent odd sent an invalid response to session/new."
    ],
    ["has an empty id", "empty-id", "Agent odd sent an invalid response to session/new."],
    ["is not logged in", "refuse-new", "Agent odd could not open a session: Authentication required"],
    ["exits at start", "exit-at-start", "Agent odd exited with code 7."]
  ]
  for (const [name, behaviour, error] of cases) {
    it.effect(`if the agent ${name}`, () =>
      Effect.gen(function* () {
        const failure = yield* Effect.flip(open(misbehaving(behaviour)))
        assert.deepInclude(failure, { _tag: "AgentFailed", message: error, stopReason: "error" })
      })
    )
  }

  it.effect("with the tail of standard error", () =>
    Effect.gen(function* () {
      const failure = yield* Effect.flip(open(misbehaving("exit-at-start")))
      assert.strictEqual(failure._tag === "AgentFailed" && failure.stderr, "no such model\n")
    })
  )

  it.effect("with at most the last 8,192 characters of standard error", () =>
    Effect.gen(function* () {
      const script = "process.stderr.write('x'.repeat(100_000) + 'end', () => process.exit(7))"
      const wordy = { ...misbehaving("any"), command: [process.execPath, "-e", script] as const }
      const failure = yield* Effect.flip(open(wordy))
      assert.strictEqual(failure._tag === "AgentFailed" && failure.stderr, `${"x".repeat(8_189)}end`)
    })
  )

  it.effect("if the command or the working directory does not exist", () =>
    Effect.gen(function* () {
      const missing: AgentDefinition = { name: "odd", command: ["/nowhere/agent"], permissions: "allow" }
      const noCommand = yield* Effect.flip(open(missing))
      assert.strictEqual(noCommand.message, "Agent odd cannot start: the command /nowhere/agent was not found.")
      const noFolder = yield* Effect.flip(open(misbehaving("many"), { cwd: "/nowhere" }))
      assert.strictEqual(noFolder.message, "Agent odd cannot start: its working directory /nowhere cannot be used.")
    })
  )

  it.effect("if the agent cannot restore a session and is asked to", () =>
    Effect.gen(function* () {
      const failure = yield* Effect.flip(open(misbehaving("many"), { load: "session-1" }))
      assert.strictEqual(failure.message, "Agent odd cannot restore a session.")
    })
  )

  it.effect("as lost if the session to restore does not exist, not for any other reason", () =>
    Effect.gen(function* () {
      const restore = (behaviour: string) => {
        const { command, ...definition } = misbehaving(behaviour)
        return open({ ...definition, command: [...command, "loads"] }, { load: "session-1" })
      }
      const failures = yield* Effect.forEach(
        ["refuse-load", "locked-at-load", "exit-at-load", "login-at-load"],
        (behaviour) => Effect.flip(restore(behaviour)),
        { concurrency: "unbounded" }
      )
      assert.deepStrictEqual(
        failures.map((failure) => failure._tag === "AgentFailed" && failure.restore),
        ["lost", "failed", "failed", undefined]
      )
    })
  )

  it.effect("if the agent refuses the mode of its definition; otherwise the session is in that mode", () =>
    Effect.gen(function* () {
      const session = yield* open({ ...misbehaving("mode"), mode: "calm" })
      assert.strictEqual(textOf(yield* collect(session, prompt("Which mode?"))), "calm")
      const failure = yield* Effect.flip(open({ ...misbehaving("mode"), mode: "silly" }))
      assert.strictEqual(failure.message, "Agent odd could not enter the mode silly: No such mode")
    })
  )

  it.effect("with AgentOptionRefused if the agent has no option for the model", () =>
    Effect.gen(function* () {
      const failure = yield* Effect.flip(open(misbehaving("many"), { model: "big" }))
      assert.strictEqual(failure._tag, "AgentOptionRefused")
      assert.strictEqual(failure.message, "Agent odd has no option for the model.")
    })
  )
})

layer(Platform)("an agent that does not answer", (it) => {
  for (const [method, behaviour] of [
    ["initialize", "silent"],
    ["session/new", "silent-new"],
    ["session/load", "silent-load"],
    ["session/set_config_option", "silent-option"],
    ["session/set_mode", "silent-mode"]
  ] as const) {
    it.effect(`${method} fails after 30 seconds`, () =>
      Effect.gen(function* () {
        const fs = yield* FileSystem.FileSystem
        const cwd = yield* temporaryFolder
        const load = method === "session/load" ? "session-1" : undefined
        const model = method === "session/set_config_option" ? "big" : undefined
        const mode = method === "session/set_mode" ? "calm" : undefined
        const { command, ...definition } = misbehaving(behaviour)
        const agent = { ...definition, mode, command: [...command, "loads"] as const }
        const opening = open(agent, { cwd, load, model })
        const fiber = yield* Effect.forkChild(Effect.flip(opening))
        const asked = fs.exists(`${cwd}/asked`).pipe(eventually("an agent that was asked", (there) => there))
        yield* TestClock.withLive(asked)
        yield* TestClock.adjust("29 seconds")
        assert.strictEqual(fiber.pollUnsafe(), undefined)
        yield* TestClock.adjust("1 second")
        const message = `Agent odd did not answer ${method} within 30s.`
        assert.deepInclude(yield* Fiber.join(fiber), { _tag: "AgentFailed", message, stopReason: "timeout" })
      })
    )
  }
})

layer(Platform, { excludeTestServices: true, concurrent: true })("closing a session", (it) => {
  const inOwnScope = Effect.fnUntraced(function* (behaviour: string) {
    const scope = yield* Scope.make()
    const session = yield* open(misbehaving(behaviour)).pipe(Scope.provide(scope))
    return { session, close: Scope.close(scope, Exit.void) }
  })

  it.effect("kills all descendants, in its process group or not, even those that ignore SIGTERM", () =>
    Effect.gen(function* () {
      const { close, session } = yield* inOwnScope("strays")
      const pids: ReadonlyArray<number> = JSON.parse(textOf(yield* collect(session, prompt("go"))))
      assert.strictEqual(pids.filter(isAlive).length, 4)
      yield* close
      assert.deepStrictEqual([session.pid, ...pids].filter(isAlive), [])
    })
  )

  it.effect("kills the descendants of an agent that has already exited", () =>
    Effect.gen(function* () {
      const { close, session } = yield* inOwnScope("strays-exit")
      let text = ""
      yield* session.turn(prompt("go")).pipe(
        Stream.runForEach((event) => Effect.sync(() => (event._tag === "Text" ? (text += event.content) : text))),
        Effect.ignore
      )
      const pids: ReadonlyArray<number> = JSON.parse(text)
      yield* close
      assert.deepStrictEqual([session.pid, ...pids].filter(isAlive), [])
    })
  )

  it.effect("fails the turn in flight", () =>
    Effect.gen(function* () {
      const { close, session } = yield* inOwnScope("ignore-cancel")
      const responding = yield* Deferred.make<void>()
      const fiber = yield* session.turn(prompt("go")).pipe(
        Stream.tap(() => Deferred.succeed(responding, undefined)),
        Stream.runDrain,
        Effect.forkChild
      )
      yield* Deferred.await(responding)
      yield* close
      assert.strictEqual((yield* Effect.flip(Fiber.join(fiber))).error, "Agent odd was closed.")
      assert.isFalse(isAlive(session.pid))
    })
  )

  it.effect("an agent whose session could not be opened is killed at once", () =>
    Effect.gen(function* () {
      const fs = yield* FileSystem.FileSystem
      const cwd = yield* temporaryFolder
      yield* Effect.flip(open(misbehaving("version"), { cwd }))
      assert.isFalse(isAlive(Number(yield* fs.readFileString(`${cwd}/pid`))))
    })
  )

  it.effect("an agent is killed at once if opening its session is interrupted", () =>
    Effect.gen(function* () {
      const fs = yield* FileSystem.FileSystem
      const cwd = yield* temporaryFolder
      const fiber = yield* open(misbehaving("silent"), { cwd }).pipe(Effect.scoped, Effect.forkChild)
      const pid = yield* fs.readFileString(`${cwd}/pid`).pipe(
        Effect.orElseSucceed(() => ""),
        eventually("an agent that has written its pid", (text) => text !== ""),
        Effect.map(Number)
      )
      assert.isTrue(isAlive(pid))
      yield* Fiber.interrupt(fiber)
      assert.isFalse(isAlive(pid))
    })
  )
})
