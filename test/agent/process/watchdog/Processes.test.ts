import * as NodeServices from "@effect/platform-node/NodeServices"
import { assert, it } from "@effect/vitest"
import { Effect, Schedule } from "effect"
import { existsSync } from "node:fs"
import { signalAll } from "../../../../src/agent/process/watchdog/Processes.ts"
import { patience } from "../../../support/Patience.ts"
import { gone, isAlive } from "../../Support.ts"
import { startGroup } from "./Group.ts"

/** Waits until nothing at all is known of a process. */
const reaped = (pid: number) =>
  Effect.sync(() => existsSync(`/proc/${pid}`)).pipe(
    Effect.repeat({ until: (there) => !there, schedule: Schedule.spaced(10) }),
    Effect.timeout(patience)
  )

const noMark = "FORGE_AGENT_MARK=of-nobody"

it.live("a child that cleared its environment is reached by its group, also when the leader has ended", () =>
  Effect.gen(function* () {
    const { child, group, leader } = yield* startGroup
    process.kill(leader, "SIGKILL")
    yield* reaped(leader)
    assert.isFalse(signalAll([{ ...group, startTime: undefined }], noMark, "SIGKILL"))
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
