import { assert, layer } from "@effect/vitest"
import { Effect, Stream } from "effect"
import { ChildProcess } from "effect/process"
import { readdirSync, readFileSync } from "node:fs"
import { fixture, gone, isAlive, Platform } from "./Support.ts"

/** Everything that runs for a parent, its watchdog included, by what stands in its argv or environment. */
const childrenOf = (pid: number): ReadonlyArray<number> =>
  readdirSync("/proc")
    .filter((name) => /^[0-9]+$/.test(name))
    .map(Number)
    .filter((child) => {
      try {
        const stat = readFileSync(`/proc/${child}/stat`, "utf8")
        return Number(stat.slice(stat.lastIndexOf(")") + 2).split(" ")[1]) === pid
      } catch {
        return false
      }
    })

/** Starts the parent and waits for the line in which it names its processes. */
const startParent = Effect.fnUntraced(function* (...args: ReadonlyArray<string>) {
  const parent = yield* ChildProcess.make(process.execPath, [fixture("Parent.ts"), ...args], {
    stderr: "inherit",
    forceKillAfter: "1 second"
  })
  const line = yield* parent.stdout.pipe(Stream.decodeText(), Stream.splitLines, Stream.take(1), Stream.mkString)
  const pids: ReadonlyArray<number> = JSON.parse(line)
  return { parent, pids }
})

layer(Platform, { excludeTestServices: true })("when the process that started the agents is killed", (it) => {
  it.effect("agents and all their descendants are gone within five seconds, and so is the watchdog", () =>
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
      const { parent, pids } = yield* startParent("early")
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
})
