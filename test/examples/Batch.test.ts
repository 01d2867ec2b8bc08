import { assert, it } from "@effect/vitest"
import { Effect } from "effect"
import { TestConsole } from "effect/testing"
import { ForgeTest } from "../../src/testing/index.ts"
import { answerAll } from "./Batch.ts"

const questions = ["one", "two", "three", "four", "five"]

it.effect("a batch answers every question, shows how far it is, and adds up what they used", () =>
  Effect.gen(function* () {
    const { answers, usage } = yield* answerAll(questions)
    assert.deepStrictEqual(
      answers.map(({ text }) => text),
      ["about one", "about two", "failed: Agent claude failed the turn: out of paper", "about four", "about five"]
    )
    assert.deepStrictEqual(usage, { inputTokens: 8, outputTokens: 4 })
    const lines = yield* TestConsole.logLines
    assert.lengthOf(lines, 5)
    assert.strictEqual(lines.at(-1), "[####################] 5/5")
    const { sessions } = yield* ForgeTest.ForgeTest
    assert.isTrue((yield* sessions).every(({ closedAt }) => closedAt !== null))
  }).pipe(
    Effect.provide([
      TestConsole.layer,
      ForgeTest.layer((prompt) =>
        prompt === "three"
          ? ForgeTest.runFailed("out of paper")
          : ForgeTest.text(`about ${prompt}`, { usage: { inputTokens: 2, outputTokens: 1 } })
      )
    ])
  )
)
