import { assert, it } from "@effect/vitest"
import { Duration, Effect, Schema } from "effect"
import { type AgentConnection, RequestRefused } from "../../../src/agent/acp/AgentConnection.ts"
import * as SessionSettings from "../../../src/agent/acp/SessionSettings.ts"

interface Case extends Partial<SessionSettings.Options> {
  /** The refusal of every request. */
  readonly refusal?: { readonly code: number; readonly reason: string }
}

/** Applies the settings, and returns the requests that this sent to the agent, or the sentence of the refusal. */
const applied = Effect.fnUntraced(function* ({ refusal, ...options }: Case) {
  const requests: Array<unknown> = []
  const request: AgentConnection["request"] = ({ answer, method, params }) =>
    Effect.suspend(() => {
      const { sessionId: _, ...others } = params
      requests.push({ method, ...others })
      const response: unknown = method === "session/set_model" ? null : { configOptions: [levels("deep")] }
      return refusal === undefined
        ? Effect.orDie(Schema.decodeUnknownEffect(answer)(response))
        : Effect.fail(new RequestRefused({ ...refusal, afterReports: false }))
    })
  return yield* SessionSettings.apply({
    name: "odd",
    connection: { request },
    sessionId: "s",
    offered: {},
    isRestored: false,
    within: Duration.seconds(1),
    ...options
  }).pipe(
    Effect.as<unknown>(requests),
    Effect.catchTag("AgentOptionRefused", ({ error, option }) => Effect.succeed(`${option}: ${error}`)),
    Effect.orDie
  )
})

const levels = (...values: ReadonlyArray<string>) => ({
  id: "level",
  category: "thought_level",
  options: values.map((value) => ({ value }))
})
const models = (...ids: ReadonlyArray<string>) => ({
  availableModels: ids.map((modelId) => ({ modelId, name: modelId })),
  currentModelId: "a"
})
const config = { id: "model", options: [{ value: "x" }, { group: "more", options: [{ value: "y" }, 42] }] }
const setModel = (modelId: string) => ({ method: "session/set_model", modelId })
const setOption = (configId: string, value: string) => ({ method: "session/set_config_option", configId, value })
const refusal = { code: -32602, reason: "Invalid params" }

it.effect("a config option for the model comes before the agent's list of models", () =>
  Effect.gen(function* () {
    const offered = { configOptions: [config], models: models("x") }
    assert.deepStrictEqual(yield* applied({ offered, model: "x" }), [setOption("model", "x")])
    const other = { configOptions: [levels("low")], models: models("x") }
    assert.deepStrictEqual(yield* applied({ offered: other, model: "x" }), [setModel("x")])
  })
)

it.effect("the model is set before the effort, by which way ever", () =>
  Effect.gen(function* () {
    const both = { model: "b", effort: "deep" }
    const byModels = { configOptions: [levels("deep")], models: models("a", "b") }
    assert.deepStrictEqual(yield* applied({ offered: byModels, ...both }), [setModel("b"), setOption("level", "deep")])
    const byOption = { configOptions: [config] }
    const expected = [setOption("model", "b"), setOption("level", "deep")]
    assert.deepStrictEqual(yield* applied({ offered: byOption, ...both }), expected)
  })
)

it.effect("a model that is not in the agent's list is refused with the list, which is bounded", () =>
  Effect.gen(function* () {
    assert.strictEqual(
      yield* applied({ offered: { models: models("a", "b") }, model: "c" }),
      "model: Agent odd has no model c; it has a, b"
    )
    assert.strictEqual(yield* applied({ offered: { models: models() }, model: "c" }), "model: Agent odd has no model c")
    const many = Array.from({ length: 500 }, (_, index) => `${index}-`.padEnd(200, "x"))
    const long = String(yield* applied({ offered: { models: models(...many) }, model: "c" }))
    assert.isBelow(long.length, 2_200)
    assert.match(long, /; it has 0-x{98}, 1-x{98}, .* and 480 more$/)
  })
)

it.effect("a value that the agent refuses is reported with the choices of its option", () =>
  Effect.gen(function* () {
    assert.strictEqual(
      yield* applied({ offered: { configOptions: [config] }, model: "z", refusal }),
      "model: Agent odd refused the model z: Invalid params; it has x, y"
    )
    assert.strictEqual(
      yield* applied({ offered: { configOptions: [{ id: "effort" }] }, effort: "z", refusal }),
      "effort: Agent odd refused the effort z: Invalid params"
    )
    assert.strictEqual(
      yield* applied({ offered: { models: models("a") }, model: "a", refusal }),
      "model: Agent odd refused the model a: Invalid params; it has a"
    )
  })
)

it.effect("in a restored session the model is set without a list, unless the agent has no such method", () =>
  Effect.gen(function* () {
    const noOption = "model: Agent odd has no option for the model."
    assert.deepStrictEqual(yield* applied({ isRestored: true, model: "any" }), [setModel("any")])
    const notFound = { code: -32601, reason: "Method not found" }
    assert.strictEqual(yield* applied({ isRestored: true, model: "any", refusal: notFound }), noOption)
    assert.strictEqual(yield* applied({ isRestored: false, model: "any" }), noOption)
    assert.strictEqual(yield* applied({ offered: { models: "none" }, model: "any" }), noOption)
    const effort = "effort: Agent odd has no option for the effort."
    assert.strictEqual(yield* applied({ isRestored: true, effort: "low" }), effort)
  })
)
