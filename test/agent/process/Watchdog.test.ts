import { assert, layer } from "@effect/vitest"
import { Deferred, Effect, Exit, Fiber, Schedule, Scope, Stream } from "effect"
import { ChildProcess } from "effect/process"
import { existsSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs"
import { patience } from "../../support/Patience.ts"
import { childrenOf } from "../../support/Processes.ts"
import {
  collect,
  fixture,
  gone,
  isAlive,
  misbehaving,
  open,
  Platform,
  prompt,
  temporaryFolder,
  textOf
} from "../Support.ts"

/** Starts the parent and waits for the line in which it names its processes. */
const startParent = Effect.fnUntraced(function* (env: Readonly<Record<string, string>> = {}, ...args: Array<string>) {
  const parent = yield* ChildProcess.make(process.execPath, [fixture("Parent.ts"), ...args], {
    env: { ...env, TMPDIR: yield* temporaryFolder },
    extendEnv: true,
    stderr: "inherit",
    forceKillAfter: "1 second"
  })
  const first = yield* Deferred.make<string>()
  const lines: Array<string> = []
  yield* parent.stdout.pipe(
    Stream.decodeText(),
    Stream.splitLines,
    Stream.runForEach((line) =>
      Effect.andThen(
        Deferred.succeed(first, line),
        Effect.sync(() => lines.push(line))
      )
    ),
    Effect.forkScoped
  )
  const pids: ReadonlyArray<number> = JSON.parse(yield* Deferred.await(first))
  return { parent, pids, lines }
})

const killParent = (parent: { readonly pid: number }) => Effect.sync(() => process.kill(parent.pid, "SIGKILL"))

const namesIn = (folder: string) => (existsSync(folder) ? readdirSync(folder) : [])

/** The watchdogs of a server, by a mark of it. */
const watchdogsOf = (mark: string): ReadonlyArray<number> =>
  childrenOf(process.pid).filter((pid) => readFileSync(`/proc/${pid}/cmdline`, "utf8").includes(`\0${mark}\0`))

const eventually = (done: () => boolean) =>
  Effect.sync(done).pipe(
    Effect.repeat({ until: (done) => done, schedule: Schedule.spaced("20 millis") }),
    Effect.timeout(patience)
  )

layer(Platform, { excludeTestServices: true, concurrent: true })(
  "when the process that started the agents is killed",
  (it) => {
    it.effect("agents and all their descendants are gone soon, and so is the watchdog", () =>
      Effect.gen(function* () {
        const { parent, pids } = yield* startParent()
        const children = childrenOf(parent.pid)
        assert.strictEqual(pids.filter(isAlive).length, 5)
        // The agent and the watchdog.
        assert.strictEqual(children.length, 2)
        process.kill(parent.pid, "SIGKILL")
        yield* gone([...pids, ...children])
      })
    )

    it.effect("an agent that the watchdog was not told of is gone too", () =>
      Effect.gen(function* () {
        const { parent, pids } = yield* startParent({}, "early")
        yield* gone([parent.pid, ...pids])
      })
    )

    it.effect("a signal to the parent's group first does not keep the watchdog from its work", () =>
      Effect.gen(function* () {
        const { parent, pids } = yield* startParent()
        const children = childrenOf(parent.pid)
        for (const pid of children) if (!pids.includes(pid)) process.kill(pid, "SIGTERM")
        process.kill(-Number(parent.pid), "SIGKILL")
        yield* gone([...pids, ...children])
      })
    )

    it.effect("so is the temporary folder that it had", () =>
      Effect.gen(function* () {
        const temporary = `${yield* temporaryFolder}/temporary`
        const { parent, pids } = yield* startParent({ TEMPORARY: temporary, RECORDS: `${temporary}/agents` })
        writeFileSync(`${temporary}/ledger.db`, "text")
        const children = childrenOf(parent.pid)
        yield* killParent(parent)
        yield* gone([...pids, ...children])
        assert.isFalse(existsSync(temporary))
      })
    )

    it.effect("and the watchdog was killed before that, another one does its work, and knows what it knew", () =>
      Effect.gen(function* () {
        const records = `${yield* temporaryFolder}/agents`
        const { lines, parent, pids } = yield* startParent({ RECORDS: records })
        const watchdogs = () => childrenOf(parent.pid).filter((pid) => !pids.includes(pid))
        const [killed = 0] = watchdogs()
        rmSync(records, { recursive: true })
        process.kill(killed, "SIGKILL")
        // Itself, and the agent.
        yield* eventually(() => namesIn(records).length === 2)
        const others = watchdogs().filter((pid) => pid !== killed)
        assert.lengthOf(others, 1)
        const said = () => lines.filter((line) => line.includes("the watchdog process has ended"))
        yield* eventually(() => said().length > 0)
        assert.lengthOf(said(), 1)
        assert.include(said()[0], "ERROR")
        yield* killParent(parent)
        yield* gone([...pids, ...others])
        assert.deepStrictEqual(namesIn(records), [])
      })
    )
  }
)

layer(Platform, { excludeTestServices: true })("when the watchdog is killed", (it) => {
  it.effect("what it was still to end is ended by another, and that one is gone with its server", () =>
    Effect.gen(function* () {
      const scope = yield* Scope.fork(yield* Effect.scope)
      const session = yield* Scope.provide(open(misbehaving("strays")), scope)
      const strays: ReadonlyArray<number> = JSON.parse(textOf(yield* collect(session, prompt("go"))))
      const mark = /FORGE_AGENT_MARK=[^.]+/.exec(readFileSync(`/proc/${session.pid}/environ`, "latin1"))?.[0] ?? ""
      const [watchdog = 0] = watchdogsOf(mark)
      process.kill(watchdog, "SIGSTOP")
      const closing = yield* Effect.forkChild(Scope.close(scope, Exit.void), { startImmediately: true })
      yield* gone([session.pid])
      assert.isAtLeast(strays.filter(isAlive).length, 2)
      process.kill(watchdog, "SIGKILL")
      yield* gone(strays)
      yield* Fiber.join(closing)
      assert.lengthOf(watchdogsOf(mark), 1)
    })
  )
})
