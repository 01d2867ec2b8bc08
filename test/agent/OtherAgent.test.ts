import { assert, layer } from "@effect/vitest"
import { Effect } from "effect"
import type { AgentDefinition } from "../../src/agent/Agent.ts"
import { collect, fixture, lastOf, open, Platform, prompt, textOf } from "./Support.ts"

const definition: AgentDefinition = {
  name: "other",
  command: [process.execPath, fixture("OtherAgent.ts")],
  permissions: "allow"
}

layer(Platform, { excludeTestServices: true })("an agent that is not ours", (it) => {
  it.effect("gets the files first and the prompt last, unaltered; its permission is given once, not for always", () =>
    Effect.gen(function* () {
      const session = yield* open(definition)
      const words = "  What\nis <this>?  "
      const files = [{ name: "my notes.txt", path: "/srv/a b.txt", size: 3 }]
      const events = yield* collect(session, prompt(words, { files }))
      const [chosen, sent] = [textOf(events).slice(0, 1), textOf(events).slice(3)]
      assert.strictEqual(chosen, "b")
      assert.deepStrictEqual(JSON.parse(sent), [
        { type: "resource_link", name: "my notes.txt", uri: "file:///srv/a%20b.txt", size: 3 },
        { type: "text", text: words }
      ])
      assert.deepStrictEqual(lastOf(events), { _tag: "TurnEnd", stopReason: "end_turn" })
    })
  )

  it.effect("that only loads has its history dropped", () =>
    Effect.gen(function* () {
      const session = yield* open(definition, { load: "other-1" })
      assert.deepStrictEqual(
        (yield* collect(session, prompt("x"))).map(({ _tag }) => _tag),
        ["Permission", "Text", "TurnEnd"]
      )
    })
  )

  it.effect("gets a prompt of five million characters whole", () =>
    Effect.gen(function* () {
      const text = textOf(yield* collect(yield* open(definition), prompt("y".repeat(5_000_000))))
      assert.isAbove(text.length, 5_000_000)
    })
  )
})
