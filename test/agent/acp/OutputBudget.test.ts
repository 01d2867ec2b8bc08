import { assert, layer } from "@effect/vitest"
import { Effect } from "effect"
import * as TurnBudget from "../../../src/server/TurnBudget.ts"
import { collect, misbehaving, open, Platform, prompt, textOf } from "../Support.ts"

layer(Platform, { excludeTestServices: true })("all turns together", (it) => {
  it.effect("one that has no room beside the others fails with one sentence, and an ended one leaves its room", () =>
    Effect.gen(function* () {
      const budget = TurnBudget.make(3_000)
      const held = budget.take(2_900)
      assert.isTrue(held)
      const crowded = yield* Effect.flip(open(misbehaving("many"), { budget }))
      assert.strictEqual(crowded.message, "Agent odd wrote more than there is room for beside the turns of others.")
      budget.give(2_900)
      const session = yield* open(misbehaving("many"), { budget })
      // More than the budget in all.
      for (let turn = 0; turn < 10; turn++) {
        assert.strictEqual(textOf(yield* collect(session, prompt("ping"))), "pong")
      }
    })
  )

  it.effect("everything is given back when the agent is gone", () =>
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
