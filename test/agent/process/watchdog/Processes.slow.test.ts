import * as NodeServices from "@effect/platform-node/NodeServices"
import { assert, it } from "@effect/vitest"
import { Effect } from "effect"
import { existsSync } from "node:fs"
import { signalAll } from "../../../../src/agent/process/watchdog/Processes.ts"
import { awaitExit, isAlive } from "../../Support.ts"
import { startGroup } from "./Group.ts"
import { eventually } from "../../../support/Eventually.ts"

/** Waits until a process has been reaped. */
const reaped = (pid: number) =>
  Effect.sync(() => existsSync(`/proc/${pid}`)).pipe(eventually(`the end of process ${pid}`, (there) => !there))

const noMark = "FORGE_AGENT_MARK=unused"

it.live("a child that cleared its environment is found by its group, even after the leader has exited", () =>
  Effect.gen(function* () {
    const { child, group, leader } = yield* startGroup
    process.kill(leader, "SIGKILL")
    yield* reaped(leader)
    assert.isFalse(signalAll([{ ...group, startTime: undefined }], noMark, "SIGKILL"))
    assert.isTrue(isAlive(child))
    assert.isTrue(signalAll([group], noMark, "SIGKILL"))
    yield* awaitExit([child])
    assert.isFalse(signalAll([group], noMark, "SIGKILL"))
  }).pipe(Effect.scoped, Effect.provide(NodeServices.layer))
)

it.live("a later group with the same id is not signalled", () =>
  Effect.gen(function* () {
    const { child, group, leader } = yield* startGroup
    const earlier = { ...group, startTime: String(Number(group.startTime) - 1) }
    assert.isFalse(signalAll([earlier], noMark, "SIGKILL"))
    assert.isFalse(signalAll([{ ...group, startTime: undefined }], noMark, "SIGKILL"))
    assert.deepStrictEqual([leader, child].filter(isAlive), [leader, child])
    signalAll([group], noMark, "SIGKILL")
    yield* awaitExit([leader, child])
  }).pipe(Effect.scoped, Effect.provide(NodeServices.layer))
)
