import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { play, seed } from "../../support/Histories.ts"

const histories = 300

describe(`no turn is given to an agent twice, and no error is wrong about it, over ${histories} random histories (seed ${seed})`, () => {
  it.effect("by a server without idempotency, and by one with it, where more of them succeed", () =>
    Effect.gen(function* () {
      const forgetful = yield* play(false, histories)
      const remembering = yield* play(true, histories)
      assert.isAbove(forgetful.repeated, histories / 10)
      assert.isAbove(forgetful.succeeded, 0)
      assert.isAbove(remembering.repeated, forgetful.repeated)
      assert.isAbove(remembering.succeeded, forgetful.succeeded)
    })
  )
})
