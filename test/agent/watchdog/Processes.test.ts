import * as NodeServices from "@effect/platform-node/NodeServices"
import { assert, it } from "@effect/vitest"
import { Effect } from "effect"
import { signalAll } from "../../../src/agent/watchdog/Processes.ts"
import { gone, isAlive } from "../Support.ts"
import { startGroup } from "./Group.ts"

const noMark = "FORGE_AGENT_MARK=of-nobody"

it.live("a child that cleared its environment is reached by its group, also when the leader has ended", () =>
  Effect.gen(function* () {
    const { child, group, leader } = yield* startGroup
    process.kill(leader, "SIGKILL")
    yield* gone([leader])
    assert.isTrue(isAlive(child))
    assert.isTrue(signalAll([group], noMark, "SIGKILL"))
    yield* gone([child])
    assert.isFalse(signalAll([group], noMark, "SIGKILL"))
  }).pipe(Effect.scoped, Effect.provide(NodeServices.layer))
)

it.live("a later group with the same number is let alone", () =>
  Effect.gen(function* () {
    const { child, group, leader } = yield* startGroup
    const earlier = { ...group, startTime: String(Number(group.startTime) - 1) }
    assert.isFalse(signalAll([earlier], noMark, "SIGKILL"))
    assert.isFalse(signalAll([{ ...group, startTime: undefined }], noMark, "SIGKILL"))
    assert.deepStrictEqual([leader, child].filter(isAlive), [leader, child])
    signalAll([group], noMark, "SIGKILL")
    yield* gone([leader, child])
  }).pipe(Effect.scoped, Effect.provide(NodeServices.layer))
)
