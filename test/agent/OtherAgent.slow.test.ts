import { assert, layer } from "@effect/vitest"
import { Deferred, Effect, Stream } from "effect"
import { fileURLToPath } from "node:url"
import type { AgentDefinition, TurnEnd } from "../../src/agent/Agent.ts"
import type { TurnEvent } from "../../src/wire/TurnEvent.ts"
import { collect, fixture, lastOf, open, Platform, prompt, textOf } from "./Support.ts"

const definition: AgentDefinition = {
  name: "other",
  command: [process.execPath, fixture("OtherAgent.ts")],
  permissions: "allow"
}

/** The example agent published with major version 1 of the protocol library. */
const example = (permissions: AgentDefinition["permissions"]): AgentDefinition => ({
  name: "example",
  command: [
    process.execPath,
    fileURLToPath(new URL("../../node_modules/acp-sdk-1/dist/examples/agent.js", import.meta.url))
  ],
  permissions
})

layer(Platform, { excludeTestServices: true })("the example agent of the protocol library, version 1", (it) => {
  const asked = prompt("Change the configuration.")
  const calls = (events: ReadonlyArray<TurnEvent | TurnEnd>) =>
    events.flatMap((event) => (event._tag === "ToolCall" ? [`${event.name}: ${event.status}`] : []))

  it.effect("takes turns, honours permissions, and exits when its session is closed", () =>
    Effect.gen(function* () {
      const turn = Effect.fnUntraced(function* (permissions: AgentDefinition["permissions"]) {
        return yield* collect(yield* open(example(permissions)), asked)
      })
      const cancelled = Effect.gen(function* () {
        const session = yield* open(example("allow"))
        const began = yield* Deferred.make<void>()
        const first = yield* session.turn(asked, Deferred.await(began)).pipe(
          Stream.tap(() => Deferred.succeed(began, undefined)),
          Stream.runCollect
        )
        assert.isFalse(session.isRestorable)
        assert.deepStrictEqual(lastOf(first), { _tag: "TurnEnd", stopReason: "cancelled" })
        return lastOf(yield* collect(session, asked))
      })
      const [allowed, denied, after] = yield* Effect.all([turn("allow"), turn("deny"), cancelled], {
        concurrency: "unbounded"
      })
      const change = "Modifying critical configuration file"
      const looked = ["Reading project files: pending", "Reading project files: completed", `${change}: pending`]
      // The request for permission says more of its call, and a call that was denied ends.
      assert.deepStrictEqual(calls(allowed), [...looked, `${change}: pending`, `${change}: completed`])
      assert.match(textOf(allowed), /^I'll help you with that\..* The changes have been applied\.$/s)
      assert.deepStrictEqual(calls(denied), [...looked, `${change}: pending`, `${change}: failed`])
      assert.match(textOf(denied), /I'll skip the configuration update\.$/)
      for (const end of [lastOf(allowed), lastOf(denied), after]) {
        assert.deepStrictEqual(end, { _tag: "TurnEnd", stopReason: "end_turn" })
      }
    })
  )
})

layer(Platform, { excludeTestServices: true, concurrent: true })(
  "an agent written with the protocol's library",
  (it) => {
    it.effect("gets the files first and the prompt last, unaltered, and is allowed once, not always", () =>
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

    it.effect("that supports loading but not resuming has its replayed history dropped", () =>
      Effect.gen(function* () {
        const session = yield* open(definition, { load: "other-1" })
        assert.deepStrictEqual(
          (yield* collect(session, prompt("x"))).map(({ _tag }) => _tag),
          ["ToolCall", "Permission", "Text", "TurnEnd"]
        )
      })
    )

    it.effect("gets a prompt of five million characters in full", () =>
      Effect.gen(function* () {
        const text = textOf(yield* collect(yield* open(definition), prompt("y".repeat(5_000_000))))
        assert.isAbove(text.length, 5_000_000)
      })
    )
  }
)
