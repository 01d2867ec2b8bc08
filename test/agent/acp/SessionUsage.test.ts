import { assert, describe, it } from "@effect/vitest"
import * as SessionUsage from "../../../src/agent/acp/SessionUsage.ts"
import { toEvent } from "../../../src/wire/AcpUpdate.ts"

/** A session whose turns are given by their updates and answers. */
const session = (options: { readonly loaded?: boolean; readonly agent?: string } = {}) => {
  const usage = SessionUsage.make()
  usage.opened({ loaded: options.loaded === true, countsSession: SessionUsage.countsSession(options.agent) })
  return (answer: object, updates: ReadonlyArray<object> = []) => {
    usage.begin()
    for (const update of updates) usage.report(update, toEvent(update, new Map()))
    return usage.end({ stopReason: "end_turn", ...answer })
  }
}

const cost = (amount: number, more: object = {}) => ({
  sessionUpdate: "usage_update",
  cost: { amount, currency: "USD" },
  ...more
})
const counts = (inputTokens: number, outputTokens: number, totalTokens: number) => ({
  inputTokens,
  outputTokens,
  totalTokens
})

describe("what a turn used", () => {
  it("is in the usage of its answer, or in what agents put in _meta instead", () => {
    const turn = session()
    assert.deepStrictEqual(turn({ usage: { ...counts(10, 5, 15), cachedReadTokens: 4, thoughtTokens: 2 } }), {
      inputTokens: 10,
      outputTokens: 5,
      cachedTokens: 4,
      totalTokens: 15
    })
    const token_count = { input_tokens: 30, output_tokens: 7 }
    const quota = { token_count, model_usage: [{ model: "gemini-3-pro", token_count }] }
    assert.deepStrictEqual(turn({ _meta: { quota } }), { inputTokens: 30, outputTokens: 7 })
    assert.deepStrictEqual(turn({ usage: null, _meta: { quota } }), { inputTokens: 30, outputTokens: 7 })
    assert.deepStrictEqual(turn({ usage: counts(1, 2, 3), _meta: { quota } }), counts(1, 2, 3))
  })

  it("is the sum of what its chunks report, where its answer reports nothing", () => {
    const turn = session()
    const chunk = (usage: unknown, text = "") => ({
      sessionUpdate: "agent_message_chunk",
      content: { type: "text", text },
      _meta: { usage, durationMs: 7 }
    })
    const updates = [
      chunk({ ...counts(10, 1, 11), cachedReadTokens: null }),
      chunk(undefined, "x"),
      chunk(counts(20, 2, 22))
    ]
    assert.deepStrictEqual(turn({}, updates), counts(30, 3, 33))
    assert.deepStrictEqual(turn({ usage: counts(9, 9, 18) }, updates), counts(9, 9, 18))
    assert.isUndefined(turn({}))
  })

  it("is the increase of the total of an agent that counts its whole session", () => {
    const turn = session({ agent: "Copilot" })
    const totals = [counts(10, 1, 11), counts(20, 2, 22), counts(30, 3, 33)]
    assert.deepStrictEqual(
      totals.map((usage) => turn({ usage })),
      [counts(10, 1, 11), counts(10, 1, 11), counts(10, 1, 11)]
    )
    // The numbers of other agents grow too: with each turn there is more to read.
    const other = session({ agent: "other" })
    assert.deepStrictEqual(
      totals.map((usage) => other({ usage })),
      totals
    )
  })

  it("is not known where the total before it is not: after a restore, a turn without one, or a new beginning", () => {
    const turn = session({ agent: "copilot", loaded: true })
    const tokens = [
      counts(10, 1, 11),
      counts(20, 2, 22),
      undefined,
      counts(30, 3, 33),
      counts(40, 4, 44),
      counts(5, 1, 6)
    ]
    assert.deepStrictEqual(
      tokens.map((usage) => turn({ usage })),
      [undefined, counts(10, 1, 11), undefined, undefined, counts(10, 1, 11), undefined]
    )
  })

  it("is not known where all counts are 0, as of a cancelled turn, or are not counts", () => {
    const turn = session()
    for (const usage of [counts(0, 0, 0), counts(-1, 0, -1), { inputTokens: 1.5 }, { inputTokens: "7" }, 7, [], null]) {
      assert.isUndefined(turn({ stopReason: "cancelled", usage }), JSON.stringify(usage))
    }
    assert.isUndefined(turn({ _meta: { quota: { token_count: { input_tokens: 0, output_tokens: 0 } } } }))
    assert.deepStrictEqual(turn({ usage: counts(0, 3, -3) }), { inputTokens: 0, outputTokens: 3 })
  })

  it("has the increase of the session's cost, also where the context is not known", () => {
    const turn = session()
    assert.deepStrictEqual(turn({}, [cost(0.5, { used: null, size: null })]), { costUsd: 0.5 })
    assert.deepStrictEqual(turn({ usage: counts(1, 2, 3) }, [cost(0.5)]), { ...counts(1, 2, 3), costUsd: 0 })
    assert.isUndefined(turn({}, [cost(0.25)]))
    assert.isUndefined(turn({}, [cost(-1)]))
    assert.deepStrictEqual(turn({}, [cost(0.75)]), { costUsd: 0.5 })
  })
})
