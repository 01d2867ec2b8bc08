import { assert, it } from "@effect/vitest"
import { Effect, Layer } from "effect"
import { WorkflowEngine } from "effect/workflow"
import { ForgeTest } from "../../src/testing/index.ts"
import { layer, Review } from "./Review.ts"

/** An engine that knows of no execution before it, as that of another process. */
const execute = (change: string) =>
  Review.execute({ change, prompt: "Review it." }).pipe(
    Effect.provide(Layer.provideMerge(layer, WorkflowEngine.layerMemory), { local: true })
  )

it.effect("an activity that is executed again has the answer of the turn that it had", () =>
  Effect.gen(function* () {
    const { prompts } = yield* ForgeTest.ForgeTest
    assert.strictEqual(yield* execute("change-1"), "Fine.")
    assert.strictEqual(yield* execute("change-1"), "Fine.")
    assert.lengthOf(yield* prompts, 1)
    assert.strictEqual(yield* execute("change-2"), "Fine.")
    assert.lengthOf(yield* prompts, 2)
  }).pipe(Effect.provide(ForgeTest.layer(["Fine."])))
)
