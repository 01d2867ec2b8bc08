import * as NodeServices from "@effect/platform-node/NodeServices"
import { assert, it } from "@effect/vitest"
import { Effect, FileSystem, Stream } from "effect"
import { ChildProcess } from "effect/process"
import { readFileSync } from "node:fs"
import { fileURLToPath } from "node:url"
import { gone } from "../Support.ts"
import { startGroup } from "./Group.ts"

const program = fileURLToPath(new URL("../../../src/agent/watchdog/Main.ts", import.meta.url))

it.live("one that took another's place just before the server died ends what that one had recorded", () =>
  Effect.gen(function* () {
    const fs = yield* FileSystem.FileSystem
    const records = yield* fs.makeTempDirectoryScoped()
    const { child, group, leader } = yield* startGroup
    const boot = readFileSync("/proc/sys/kernel/random/boot_id", "utf8").trim()
    yield* fs.writeFileString(`${records}/server.1`, `${boot} ${group.pid} ${group.startTime}`)
    const watchdog = yield* ChildProcess.make(process.execPath, [program, "FORGE_AGENT_MARK=server", records], {
      stdin: Stream.empty
    })
    assert.strictEqual(yield* watchdog.exitCode, 0)
    yield* gone([leader, child])
    assert.deepStrictEqual(yield* fs.readDirectory(records), [])
  }).pipe(Effect.scoped, Effect.provide(NodeServices.layer))
)
