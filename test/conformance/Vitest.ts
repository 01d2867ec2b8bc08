/**
 * The suite as tests of vitest.
 */
import { it } from "@effect/vitest"
import { Effect, type Layer } from "effect"
import { strict as assert } from "node:assert"
import type { Need } from "./Case.ts"
import type { Server } from "./Server.ts"
import * as Suite from "./Suite.ts"

/** Checks a server of ours against every sentence, except those that need what it is known to lack. */
export const suite = <E>(name: string, server: Layer.Layer<Server, E>, lacks: ReadonlyArray<Need>) =>
  it.layer(server, { excludeTestServices: true, timeout: "4 minutes" })(name, (it) => {
    for (const alone of [false, true]) {
      for (const { cases, name } of Suite.groups) {
        for (const one of cases.filter((one) => (one.alone ?? false) === alone)) {
          const test = one.needs?.some((need) => lacks.includes(need)) === true ? it.effect.skip : it.effect
          test(`${name}: ${one.title}`, () => Effect.map(Suite.hold(one), (missing) => assert.deepEqual(missing, [])), {
            concurrent: !alone
          })
        }
      }
    }
  })
