import * as NodeServices from "@effect/platform-node/NodeServices"
import { assert, it } from "@effect/vitest"
import { Deferred, Effect, FileSystem, Stream } from "effect"
import { ChildProcess } from "effect/process"
import { execFile, spawn } from "node:child_process"
import { once } from "node:events"
import { readFileSync } from "node:fs"
import { createInterface } from "node:readline"
import { fileURLToPath } from "node:url"
import { promisify } from "node:util"
import { awaitExit, isAlive } from "../../Support.ts"
import { startGroup } from "./Group.ts"

const program = fileURLToPath(new URL("../../../../src/agent/process/watchdog/Main.ts", import.meta.url))

it.live("a replacement watchdog kills the agents that the first one recorded when the server dies, not before", () =>
  Effect.gen(function* () {
    const fs = yield* FileSystem.FileSystem
    const records = yield* fs.makeTempDirectoryScoped()
    const { child, group, leader } = yield* startGroup
    const boot = readFileSync("/proc/sys/kernel/random/boot_id", "utf8").trim()
    yield* fs.writeFileString(`${records}/server.1`, `${boot} ${group.pid} ${group.startTime}`)
    const died = yield* Deferred.make<void>()
    const watchdog = yield* ChildProcess.make(process.execPath, [program, "FORGE_AGENT_MARK=server", records], {
      stdin: Stream.fromEffectDrain(Deferred.await(died))
    })
    const line = yield* watchdog.stdout.pipe(Stream.decodeText(), Stream.splitLines, Stream.take(1), Stream.mkString)
    assert.strictEqual(line, "ready")
    assert.deepStrictEqual([leader, child].filter(isAlive), [leader, child])
    yield* Deferred.succeed(died, undefined)
    assert.strictEqual(yield* watchdog.exitCode, 0)
    yield* awaitExit([leader, child])
    assert.deepStrictEqual(yield* fs.readDirectory(records), [])
  }).pipe(Effect.scoped, Effect.provide(NodeServices.layer))
)

it.live("a file that is not a record kills no agent, and stays if it is a dot file", () =>
  Effect.gen(function* () {
    const fs = yield* FileSystem.FileSystem
    const records = yield* fs.makeTempDirectoryScoped()
    for (const name of [".nfs0001", "some"]) yield* fs.writeFileString(`${records}/${name}`, "")
    const agent = yield* ChildProcess.make("sleep", ["1000"], { env: { FORGE_AGENT_MARK: "something.1" } })
    const watchdog = yield* ChildProcess.make(process.execPath, [program, "FORGE_AGENT_MARK=mine", records], {
      stdin: Stream.never
    })
    yield* watchdog.stdout.pipe(Stream.decodeText(), Stream.splitLines, Stream.take(1), Stream.runDrain)
    assert.isTrue(isAlive(agent.pid))
    assert.deepStrictEqual((yield* fs.readDirectory(records)).toSorted(), [".nfs0001", "mine"])
  }).pipe(Effect.scoped, Effect.provide(NodeServices.layer))
)

it.live("agents get SIGTERM first", () =>
  Effect.gen(function* () {
    const agent = spawn("sleep", ["1000"], { env: { FORGE_AGENT_MARK: "asked.1" }, stdio: "ignore" })
    const ended = once(agent, "exit")
    yield* ChildProcess.make(process.execPath, [program, "FORGE_AGENT_MARK=asked"], { stdin: Stream.empty })
    assert.deepStrictEqual(yield* Effect.promise(() => ended), [null, "SIGTERM"])
  }).pipe(Effect.scoped, Effect.provide(NodeServices.layer))
)

it.live("reaping one agent kills its processes alone, and removes its record", () =>
  Effect.gen(function* () {
    const fs = yield* FileSystem.FileSystem
    const records = yield* fs.makeTempDirectoryScoped()
    const { child, group, leader } = yield* startGroup
    const other = spawn("sleep", ["1000"], { env: { FORGE_AGENT_MARK: "both.10" }, stdio: "ignore" })
    const watchdog = spawn(process.execPath, [program, "FORGE_AGENT_MARK=both", records], {
      stdio: ["pipe", "pipe", "inherit"]
    })
    const exited = once(watchdog, "exit")
    const lines = createInterface({ input: watchdog.stdout })[Symbol.asyncIterator]()
    const next = Effect.promise(async () => (await lines.next()).value)
    assert.strictEqual(yield* next, "ready")
    watchdog.stdin.write(`watch FORGE_AGENT_MARK=both.1 ${group.pid} ${group.startTime}\n`)
    watchdog.stdin.write("reap FORGE_AGENT_MARK=both.1\n")
    assert.strictEqual(yield* next, "reaped FORGE_AGENT_MARK=both.1")
    assert.deepStrictEqual([leader, child, Number(other.pid)].filter(isAlive), [Number(other.pid)])
    assert.deepStrictEqual(yield* fs.readDirectory(records), ["both"])
    watchdog.stdin.write("done\n")
    assert.deepStrictEqual(yield* Effect.promise(() => exited), [0, null])
    assert.deepStrictEqual(yield* fs.readDirectory(records), [])
    other.kill()
  }).pipe(Effect.scoped, Effect.provide(NodeServices.layer))
)

it.live(
  "before it is ready it kills the agents that an earlier server left, but ignores records of an earlier boot",
  () =>
    Effect.gen(function* () {
      const fs = yield* FileSystem.FileSystem
      const records = yield* fs.makeTempDirectoryScoped()
      const [left, other] = [yield* startGroup, yield* startGroup]
      const boot = readFileSync("/proc/sys/kernel/random/boot_id", "utf8").trim()
      yield* fs.writeFileString(`${records}/earlier.1`, `${boot} ${left.group.pid} ${left.group.startTime}`)
      yield* fs.writeFileString(`${records}/oldest.1`, `another-boot ${other.group.pid} ${other.group.startTime}`)
      const watchdog = yield* ChildProcess.make(process.execPath, [program, "FORGE_AGENT_MARK=next", records], {
        stdin: Stream.never
      })
      yield* watchdog.stdout.pipe(Stream.decodeText(), Stream.splitLines, Stream.take(1), Stream.runDrain)
      const pids = [left.leader, left.child, other.leader, other.child]
      assert.deepStrictEqual(pids.filter(isAlive), [other.leader, other.child])
      assert.deepStrictEqual(yield* fs.readDirectory(records), ["next"])
      process.kill(other.child, "SIGKILL")
    }).pipe(Effect.scoped, Effect.provide(NodeServices.layer))
)

it.live("the temporary folder of a server that died is removed, with the read-only folders in it", () =>
  Effect.gen(function* () {
    const fs = yield* FileSystem.FileSystem
    const root = yield* fs.makeTempDirectoryScoped()
    const temporary = `${root}/temporary`
    yield* fs.chmod(root, 0o777)
    for (const folder of ["", "/sessions", "/sessions/one", "/sessions/one/pkg"])
      yield* fs.makeDirectory(temporary + folder)
    yield* fs.writeFileString(`${temporary}/sessions/one/pkg/file`, "")
    yield* fs.chmod(`${temporary}/sessions/one/pkg`, 0o555)
    yield* fs.chmod(`${temporary}/sessions/one`, 0o555)
    // Root could remove them as they are.
    const user = process.getuid?.() === 0 ? { uid: 65_534, gid: 65_534 } : {}
    if ("uid" in user)
      yield* Effect.promise(async () => void (await promisify(execFile)("chown", ["-R", "65534:65534", temporary])))
    const watchdog = spawn(process.execPath, [program, "FORGE_AGENT_MARK=dead", "", temporary], {
      ...user,
      stdio: ["ignore", "ignore", "inherit"]
    })
    assert.deepStrictEqual(yield* Effect.promise(() => once(watchdog, "exit")), [0, null])
    assert.isFalse(yield* fs.exists(temporary))
  }).pipe(Effect.scoped, Effect.provide(NodeServices.layer))
)
