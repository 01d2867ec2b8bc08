/**
 * The client of a mix: counts each response, and fails on a status that is not allowed.
 */
import { Effect, Random } from "effect"
import * as Http from "../support/Http.ts"
import * as Answers from "./Answers.ts"
import type { Book } from "./Book.ts"

export interface Server {
  readonly url: string
  readonly token: string
}

/** The state of a running mix: whether it should stop, and whether its server may stop at any moment. */
export interface Phase {
  isOver: boolean
  readonly mayBreak: boolean
}

/** Another client may have closed the session, and the server may be overloaded. */
export const busyOrGone = [404, 410, 429, 503]

export interface Client {
  readonly ask: (
    name: string,
    allowed: ReadonlyArray<number>,
    method: string,
    path: string,
    options?: Http.CallOptions
  ) => Effect.Effect<Http.Answer, Http.Lost>
  /** Runs a call and disconnects after a short random time. */
  readonly leave: <A>(name: string, effect: Effect.Effect<A, Http.Lost>) => Effect.Effect<A | undefined, Http.Lost>
  /** Checks the answer to a prompt, and records that the prompt must have arrived. */
  readonly checkAnswer: (name: string, prompt: string, answer: Http.Answer) => Effect.Effect<void>
  /** Stops the soak because of a wrong response. */
  readonly wrong: (name: string, answer: Http.Answer) => Effect.Effect<never>
}

/** Longer than any call may take: a turn has two minutes, and may wait for others before it. */
const deadline = "180 seconds"

/** One request of an app or an administrator. */
export const call = ({ token, url }: Server, method: string, path: string, options: Http.CallOptions = {}) =>
  Http.attempt(url + path, method, {
    ...options,
    headers: { authorization: `Bearer ${token}`, ...options.headers }
  }).pipe(
    Effect.timeoutOrElse({
      duration: deadline,
      orElse: () => Effect.die(new Error(`${method} ${path} was not answered within ${deadline}`))
    })
  )

export const make = ({ counts, expected }: Book, server: Server, phase: Phase): Client => {
  const count = (name: string) => counts.set(name, (counts.get(name) ?? 0) + 1)

  const wrong = (name: string, { status, text }: Http.Answer) =>
    Effect.die(new Error(`${name} was answered ${status} ${text.slice(0, 2_000)}`))

  return {
    wrong,
    ask: Effect.fnUntraced(function* (name, allowed, method, path, options) {
      const answer = yield* call(server, method, path, options).pipe(
        Effect.tapError(() => Effect.sync(() => count(`${name} lost`)))
      )
      count(`${name} ${answer.status}`)
      // A server that shuts down ends its turns.
      const accepted = phase.mayBreak ? [...allowed, 502, 503] : allowed
      return accepted.includes(answer.status) ? answer : yield* wrong(name, answer)
    }),
    leave: Effect.fnUntraced(function* (name, effect) {
      count(name)
      return yield* Effect.timeoutOrElse(effect, {
        duration: yield* Random.nextIntBetween(1, 150),
        orElse: () => Effect.undefined
      })
    }),
    checkAnswer: Effect.fnUntraced(function* (name, prompt, answer) {
      const completed = answer.status === 200 ? Answers.completedIn(answer.text) : undefined
      if (completed === undefined || completed.stopReason === "cancelled") return
      expected.add(prompt)
      if (!Answers.isAnswerTo(prompt, completed.text)) return yield* wrong(`${name} of ${prompt}`, answer)
    })
  }
}
