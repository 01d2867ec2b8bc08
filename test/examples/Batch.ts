/**
 * A batch of questions: a few at a time, with a progress bar, and what all of them used together.
 */
import { Console, Effect, Ref } from "effect"
import { Forge, type ForgeError, Turn } from "../../src/index.ts"

export interface Answer {
  readonly question: string
  readonly text: string
  readonly usage?: Turn.Usage | undefined
}

const width = 20

const bar = (done: number, all: number): string => {
  const filled = Math.floor((done / all) * width)
  return `[${"#".repeat(filled)}${"-".repeat(width - filled)}] ${done}/${all}`
}

/** Each question has a session of its own. One that fails is answered with why, and does not end the others. */
const ask = (question: string) =>
  Forge.withSession({ agent: "claude" }, (session) => session.turn(question, { timeout: "5 minutes" })).pipe(
    Effect.map(({ text, usage }): Answer => ({ question, text, usage })),
    Effect.catch((error: ForgeError.TurnError) =>
      Effect.succeed<Answer>({ question, text: `failed: ${error.message}` })
    )
  )

export const answerAll = Effect.fn("answerAll")(function* (questions: ReadonlyArray<string>) {
  const done = yield* Ref.make(0)
  const progress = Effect.flatMap(
    Ref.updateAndGet(done, (count) => count + 1),
    (count) => Console.log(bar(count, questions.length))
  )
  const answers = yield* Effect.forEach(questions, (question) => Effect.tap(ask(question), () => progress), {
    concurrency: 4
  })
  const usage = Turn.UsageReducerSum.combineAll(answers.map(({ usage = {} }) => usage))
  return { answers, usage }
})
