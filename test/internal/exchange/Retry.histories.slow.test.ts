import { describe, it } from "@effect/vitest"
import { play, seed } from "../../support/Histories.ts"

const histories = 3000

describe(`no turn is given to an agent twice, and no error is wrong about it, over ${histories} random histories (seed ${seed})`, () => {
  for (const remembers of [false, true]) {
    it.effect(`by a server ${remembers ? "with" : "without"} idempotency`, () => play(remembers, histories))
  }
})
