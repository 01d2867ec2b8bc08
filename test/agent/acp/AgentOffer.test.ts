import { assert, describe, it } from "@effect/vitest"
import * as AgentOffer from "../../../src/agent/acp/AgentOffer.ts"

const nothing = { images: false, audio: false, embedded_context: false, mcp: false, load: false, resume: false }

describe("AgentOffer", () => {
  it("has each capability by name, and nothing that an agent does not say", () => {
    assert.deepStrictEqual(AgentOffer.make({}, {}), { features: nothing })
    for (const [capabilities, name] of [
      [{ promptCapabilities: { image: true } }, "images"],
      [{ promptCapabilities: { audio: true } }, "audio"],
      [{ promptCapabilities: { embeddedContext: true } }, "embedded_context"],
      [{ mcpCapabilities: { http: true, sse: false } }, "mcp"],
      [{ loadSession: true }, "load"],
      [{ sessionCapabilities: { resume: {} } }, "resume"]
    ] as const) {
      assert.deepStrictEqual(AgentOffer.make(capabilities, {}).features, { ...nothing, [name]: true })
    }
    for (const odd of [
      { promptCapabilities: null },
      { mcpCapabilities: "all" },
      { promptCapabilities: { image: 1 } }
    ]) {
      assert.deepStrictEqual(AgentOffer.make(odd, {}).features, nothing)
    }
  })

  it("has the models and modes of an agent, in whichever form it lists them", () => {
    const byLists = AgentOffer.make(
      {},
      {
        models: { currentModelId: "a", availableModels: [{ modelId: "a", name: "A" }, { modelId: "b" }, { id: "c" }] },
        modes: { currentModeId: "ask", availableModes: [{ id: "ask", name: "Ask" }, { id: "code", name: null }, 7] }
      }
    )
    const models = [
      { id: "a", name: "A" },
      { id: "b", name: "b" }
    ]
    const modes = [
      { id: "ask", name: "Ask" },
      { id: "code", name: "code" }
    ]
    assert.deepStrictEqual(byLists, { features: nothing, models, modes })
    const byOptions = AgentOffer.make(
      {},
      {
        configOptions: [
          {
            id: "m",
            category: "model",
            options: [{ name: "of one group", options: [{ value: "a", name: "A" }] }, { value: "b" }]
          },
          { id: "mode", options: [{ value: "ask", name: "Ask" }, { value: "code" }] }
        ]
      }
    )
    assert.deepStrictEqual(byOptions, { features: nothing, models, modes })
  })
})
