/**
 * A call made in memory, with an hour of the test's clock for it and its retries.
 */
import { Effect, Fiber, Random } from "effect"
import { TestClock } from "effect/testing"
import type { ForgeClient } from "../../../src/index.ts"
import { layerClients } from "../../support/Clients.ts"
import * as Memory from "../../support/Memory.ts"
import { calls } from "../../support/Operations.ts"

const call = (name: string) => calls[name]?.call ?? Effect.die(`there is no call ${name}`)

const random = (value: number) => ({ nextDoubleUnsafe: () => value, nextIntUnsafe: () => 0 })

/** Makes a call, lets an hour pass, and gives what was sent and what came of it. */
export const within = (
  name: string,
  script: Memory.Script,
  { jitter = 0, retry }: { readonly jitter?: number; readonly retry?: ForgeClient.Options["retry"] } = {}
) => {
  const { layer, sent } = Memory.make(script)
  return Effect.gen(function* () {
    yield* TestClock.setTime(0)
    const fiber = yield* Effect.forkChild(Effect.result(call(name)), { startImmediately: true })
    yield* TestClock.adjust("1 hour")
    return { result: yield* Fiber.join(fiber), sent, at: sent.map(({ at }) => at) }
  }).pipe(
    Effect.provide(layerClients("http://forge", retry)),
    Effect.provide(layer),
    Effect.provideService(Random.Random, random(jitter))
  )
}
