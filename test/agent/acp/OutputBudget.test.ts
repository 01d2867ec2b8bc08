import { assert, layer } from "@effect/vitest"
import { Effect } from "effect"
import * as TurnBudget from "../../../src/server/TurnBudget.ts"
import { collect, misbehaving, open, Platform, prompt, textOf } from "../Support.ts"

layer(Platform, { excludeTestServices: true })("the output budget shared by all turns", (it) => {
  it.effect("fails a turn that does not fit, and is released when a turn ends", () =>
    Effect.gen(function* () {
      const budget = TurnBudget.make(3_000)
      const held = budget.take(2_900)
      assert.isTrue(held)
      const crowded = yield* Effect.flip(open(misbehaving("many"), { budget }))
      assert.strictEqual(crowded.message, "Agent odd wrote more than the memory shared by all turns can hold.")
      budget.give(2_900)
      const session = yield* open(misbehaving("many"), { budget })
      // More than the budget in total.
      for (let turn = 0; turn < 10; turn++) {
        assert.strictEqual(textOf(yield* collect(session, prompt("ping"))), "pong")
      }
    })
  )

  it.effect("is released when the agent has exited", () =>
    Effect.gen(function* () {
      const budget = TurnBudget.make(3_000)
      yield* open(misbehaving("many"), { budget }).pipe(
        Effect.flatMap((session) => collect(session, prompt("ping"))),
        Effect.scoped
      )
      assert.isTrue(budget.take(3_000))
    })
  )
})
