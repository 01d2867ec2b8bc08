import { assert, layer } from "@effect/vitest"
import { Effect } from "effect"
import type { AgentDefinition } from "../../src/agent/Agent.ts"
import type * as AgentLauncher from "../../src/agent/AgentLauncher.ts"
import { collect, fixture, open, Platform, prompt, textOf } from "./Support.ts"

const asked: AgentDefinition = {
  name: "asked",
  command: [process.execPath, fixture("AskedAgent.ts")],
  permissions: "deny",
  sessionMeta: { own: true },
  takesSystemPrompt: true
}

/** The requests that an agent received before its first turn. */
const askedOf = Effect.fnUntraced(function* (options: Partial<AgentLauncher.Options>, definition = asked) {
  const session = yield* open(definition, options)
  const requests: unknown = JSON.parse(textOf(yield* collect(session, prompt("go"))))
  return requests
}, Effect.scoped)

const refusal = (options: Partial<AgentLauncher.Options>, definition = asked) =>
  Effect.scoped(Effect.flip(open(definition, options)))

layer(Platform, { excludeTestServices: true, concurrent: true })("session options", (it) => {
  it.effect("a system prompt is added to sessionMeta whenever a session is created or restored", () =>
    Effect.gen(function* () {
      assert.deepStrictEqual(yield* askedOf({}), [{ method: "session/new", _meta: { own: true } }])
      assert.deepStrictEqual(yield* askedOf({ system: { text: "Be brief.", mode: "replace" } }), [
        { method: "session/new", _meta: { own: true, systemPrompt: "Be brief." } }
      ])
      const append = { text: "Be brief.", mode: "append" } as const
      assert.deepStrictEqual(yield* askedOf({ system: append, load: "s" }), [
        { method: "session/resume", _meta: { own: true, systemPrompt: { append: "Be brief." } } }
      ])
      const { sessionMeta: _, ...bare } = asked
      assert.deepStrictEqual(yield* askedOf({ system: append }, bare), [
        { method: "session/new", _meta: { systemPrompt: { append: "Be brief." } } }
      ])
    })
  )

  it.effect("a system prompt is refused without starting an agent that takes none", () =>
    Effect.gen(function* () {
      const { takesSystemPrompt: _, ...deaf } = asked
      const error = yield* refusal(
        { system: { text: "x", mode: "append" } },
        { ...deaf, command: ["/nonexistent/agent"] }
      )
      assert.deepInclude(error, { _tag: "AgentOptionRefused", option: "system" })
      assert.strictEqual(error.message, "Agent asked takes no system prompt.")
    })
  )

  it.effect("the effort is looked up among the options of the selected model", () =>
    Effect.gen(function* () {
      const [, ...set] = [yield* askedOf({ model: "large", effort: "high" })].flat()
      assert.deepStrictEqual(set, [{ "the-model": "large" }, { "the-effort": "high" }])
      const error = yield* refusal({ model: "small", effort: "high" })
      assert.strictEqual(error.message, "Agent asked has no option for the effort.")
    })
  )

  it.effect("an agent that refuses a request until it is authenticated is, with the key of its environment", () =>
    Effect.gen(function* () {
      const authenticate = { method: "authenticate", methodId: "asked-api-key" }
      const bare = { ...asked, sessionMeta: undefined, env: { ASKED_API_KEY: "key" } }
      const lockedUntil = (method: string) => ({ ...bare, command: [...asked.command, method] as const })
      for (const [method, options, expected] of [
        ["session/new", {}, [authenticate, { method: "session/new" }]],
        ["session/resume", { load: "s" }, [authenticate, { method: "session/resume" }]],
        ["session/prompt", {}, [{ method: "session/new" }, authenticate]]
      ] as const) {
        assert.deepStrictEqual(yield* askedOf(options, lockedUntil(method)), expected)
      }
      const wrong = { ...lockedUntil("session/new"), env: { ASKED_API_KEY: "wrong" } }
      const opening = "Agent asked could not open a session: "
      assert.strictEqual((yield* refusal({}, wrong)).message, `${opening}The key is not valid`)
      const none = { ...lockedUntil("session/new"), env: {} }
      assert.strictEqual((yield* refusal({}, none)).message, `${opening}Authentication required`)
    })
  )

  it.effect(
    "a model is set by session/set_model where the agent offers models that way, also in a restored session",
    () =>
      Effect.gen(function* () {
        const modern = { ...asked, sessionMeta: undefined, command: [...asked.command, "models"] as const }
        const set = { method: "session/set_model", modelId: "large" }
        assert.deepStrictEqual(yield* askedOf({ model: "large" }, modern), [{ method: "session/new" }, set])
        assert.deepStrictEqual(yield* askedOf({ model: "large", load: "s" }, modern), [
          { method: "session/resume" },
          set
        ])
        const error = yield* refusal({ model: "huge" }, modern)
        assert.strictEqual(error.message, "Agent asked has no model huge; it has large")
      })
  )
})
