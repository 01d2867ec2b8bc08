/**
 * How a mix asks: each answer is counted, and held to what it may be.
 */
import { Effect, Random } from "effect"
import * as Answers from "./Answers.ts"
import type { Book } from "./Book.ts"
import { type Answer, call, type Call, type Lost } from "./Http.ts"

export interface Server {
  readonly url: string
  readonly token: string
}

/** While a mix is under way: whether it shall end, and whether its server may break off at any moment. */
export interface Phase {
  isOver: boolean
  readonly mayBreak: boolean
}

/** Somebody else may have closed the session, and there may be too much to do. */
export const busyOrGone = [404, 410, 429, 503]

export interface Client {
  readonly ask: (
    name: string,
    may: ReadonlyArray<number>,
    method: string,
    path: string,
    options?: Call
  ) => Effect.Effect<Answer, Lost>
  /** Leaves an answer before it is there. */
  readonly leave: <A>(name: string, effect: Effect.Effect<A, Lost>) => Effect.Effect<A | undefined, Lost>
  /** Holds what was answered to a prompt against it, and notes that the prompt must have arrived. */
  readonly hear: (name: string, prompt: string, answer: Answer) => Effect.Effect<void>
  /** Ends everything: this should not have been answered. */
  readonly wrong: (name: string, answer: Answer) => Effect.Effect<never>
}

export const make = ({ counts, due }: Book, server: Server, phase: Phase): Client => {
  const count = (name: string) => counts.set(name, (counts.get(name) ?? 0) + 1)

  const wrong = (name: string, { status, text }: Answer) =>
    Effect.die(new Error(`${name} was answered ${status} ${text.slice(0, 2_000)}`))

  return {
    wrong,
    ask: Effect.fnUntraced(function* (name, may, method, path, options) {
      const answer = yield* call(server.url, server.token, method, path, options).pipe(
        Effect.tapError(() => Effect.sync(() => count(`${name} lost`)))
      )
      count(`${name} ${answer.status}`)
      // A server that is ended ends its turns.
      const mayBe = phase.mayBreak ? [...may, 502, 503] : may
      return mayBe.includes(answer.status) ? answer : yield* wrong(name, answer)
    }),
    leave: Effect.fnUntraced(function* (name, effect) {
      count(name)
      return yield* Effect.timeoutOrElse(effect, {
        duration: yield* Random.nextIntBetween(1, 150),
        orElse: () => Effect.undefined
      })
    }),
    hear: Effect.fnUntraced(function* (name, prompt, answer) {
      const said = answer.status === 200 ? Answers.saidIn(answer.text) : undefined
      if (said === undefined || said.stopReason === "cancelled") return
      due.add(prompt)
      if (!Answers.isAnswerTo(prompt, said.text)) return yield* wrong(`${name} of ${prompt}`, answer)
    })
  }
}
