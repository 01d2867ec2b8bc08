import { assert, layer } from "@effect/vitest"
import { Deferred, Effect, Exit, Fiber, Scope, Stream } from "effect"
import { ChildProcess } from "effect/process"
import { existsSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs"
import { eventually } from "../../support/Eventually.ts"
import { childrenOf } from "../../support/Processes.ts"
import {
  collect,
  fixture,
  awaitExit,
  isAlive,
  misbehaving,
  open,
  Platform,
  prompt,
  temporaryFolder,
  textOf
} from "../Support.ts"

/** Starts the parent and waits until it has printed the pids of its processes. */
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

/** The watchdogs of the server with this mark. */
const watchdogsOf = (mark: string): ReadonlyArray<number> =>
  childrenOf(process.pid).filter((pid) => readFileSync(`/proc/${pid}/cmdline`, "utf8").includes(`\0${mark}\0`))

layer(Platform, { excludeTestServices: true, concurrent: true })(
  "when the process that started the agents is killed",
  (it) => {
    it.effect("agents, all their descendants and the watchdog exit", () =>
      Effect.gen(function* () {
        const { parent, pids } = yield* startParent()
        const children = childrenOf(parent.pid)
        assert.strictEqual(pids.filter(isAlive).length, 5)
        // The agent and the watchdog.
        assert.strictEqual(children.length, 2)
        process.kill(parent.pid, "SIGKILL")
        yield* awaitExit([...pids, ...children])
      })
    )

    it.effect("an agent that was not yet reported to the watchdog exits too", () =>
      Effect.gen(function* () {
        const { parent, pids } = yield* startParent({}, "early")
        yield* awaitExit([parent.pid, ...pids])
      })
    )

    it.effect("a signal to the watchdog before that does not stop it", () =>
      Effect.gen(function* () {
        const { parent, pids } = yield* startParent()
        const children = childrenOf(parent.pid)
        for (const pid of children) if (!pids.includes(pid)) process.kill(pid, "SIGTERM")
        process.kill(-Number(parent.pid), "SIGKILL")
        yield* awaitExit([...pids, ...children])
      })
    )

    it.effect("its temporary folder is removed", () =>
      Effect.gen(function* () {
        const temporary = `${yield* temporaryFolder}/temporary`
        const { parent, pids } = yield* startParent({ TEMPORARY: temporary, RECORDS: `${temporary}/agents` })
        writeFileSync(`${temporary}/ledger.db`, "text")
        const children = childrenOf(parent.pid)
        yield* killParent(parent)
        yield* awaitExit([...pids, ...children])
        assert.isFalse(existsSync(temporary))
      })
    )

    it.effect("and its watchdog was killed before, a replacement that knows the agents kills them", () =>
      Effect.gen(function* () {
        const records = `${yield* temporaryFolder}/agents`
        const { lines, parent, pids } = yield* startParent({ RECORDS: records })
        const watchdogs = () => childrenOf(parent.pid).filter((pid) => !pids.includes(pid))
        const [killed = 0] = watchdogs()
        rmSync(records, { recursive: true })
        process.kill(killed, "SIGKILL")
        // One for the server, one for the agent.
        yield* Effect.sync(() => namesIn(records)).pipe(eventually("two records", (names) => names.length === 2))
        const others = watchdogs().filter((pid) => pid !== killed)
        assert.lengthOf(others, 1)
        const errors = () => lines.filter((line) => line.includes("the watchdog process exited"))
        yield* Effect.sync(errors).pipe(eventually("an error in the log", (lines) => lines.length > 0))
        assert.lengthOf(errors(), 1)
        assert.include(errors()[0], "ERROR")
        yield* killParent(parent)
        yield* awaitExit([...pids, ...others])
        assert.deepStrictEqual(namesIn(records), [])
      })
    )
  }
)

layer(Platform, { excludeTestServices: true })("when the watchdog is killed", (it) => {
  it.effect("a replacement finishes the reaping in progress, and is the only watchdog then", () =>
    Effect.gen(function* () {
      const scope = yield* Scope.fork(yield* Effect.scope)
      const session = yield* Scope.provide(open(misbehaving("strays")), scope)
      const strays: ReadonlyArray<number> = JSON.parse(textOf(yield* collect(session, prompt("go"))))
      const mark = /FORGE_AGENT_MARK=[^.]+/.exec(readFileSync(`/proc/${session.pid}/environ`, "latin1"))?.[0] ?? ""
      const [watchdog = 0] = watchdogsOf(mark)
      process.kill(watchdog, "SIGSTOP")
      const closing = yield* Effect.forkChild(Scope.close(scope, Exit.void), { startImmediately: true })
      yield* awaitExit([session.pid])
      assert.isAtLeast(strays.filter(isAlive).length, 2)
      process.kill(watchdog, "SIGKILL")
      yield* awaitExit(strays)
      yield* Fiber.join(closing)
      assert.lengthOf(watchdogsOf(mark), 1)
    })
  )
})
