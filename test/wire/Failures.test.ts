import { assert, describe, it } from "@effect/vitest"
import * as Failures from "../../src/wire/Failures.ts"

describe("the sentence of a 503", () => {
  const { callElsewhere, poolFull, sessionElsewhere, shuttingDown, storageUnavailable, tooManyRuns } =
    Failures.sentences

  it("is recognised, in the words of other servers too", () => {
    const sentences: Record<string, string> = {
      [poolFull]: "PoolFull",
      "Live session pool full (8 of 8)": "PoolFull",
      [tooManyRuns]: "TooManyRuns",
      "Too many concurrent runs": "TooManyRuns",
      [shuttingDown]: "ShuttingDown",
      "the server is shutting down": "ShuttingDown",
      [storageUnavailable]: "StorageUnavailable",
      [sessionElsewhere]: "OtherServer",
      "Storage is unavailable: no connection": "StorageUnavailable"
    }
    for (const [sentence, refusal] of Object.entries(sentences)) {
      assert.strictEqual(Failures.refusalOf(sentence), refusal, sentence)
    }
  })

  it("of a call that runs is none of them: it was not refused", () => {
    assert.isUndefined(Failures.refusalOf(callElsewhere))
  })

  it("of a proxy is none of them", () => {
    for (const sentence of [
      "",
      "upstream connection pool exhausted",
      "object storage unavailable",
      "backend is shutting down",
      "storage unavailability"
    ]) {
      assert.isUndefined(Failures.refusalOf(sentence), sentence)
    }
  })
})

it("the error of a call that was cut says that its outcome is unknown, and no other sentence does", () => {
  const unknown = Object.entries(Failures.sentences).filter(([, sentence]) => Failures.isOutcomeUnknown(sentence))
  assert.deepStrictEqual(
    unknown.map(([name]) => name),
    ["cutByRestart", "cutByFailure", "callForgotten"]
  )
  assert.isFalse(Failures.isOutcomeUnknown("the agent said: outcome unknown"))
})
