/**
 * Calls with an idempotency key: a call without a response is repeated until it has one, and a repeated call must get the
 * same response, byte for byte, in this life of the server and in the next.
 */
import { Clock, Effect, Random } from "effect"
import * as Book from "./Book.ts"
import { busyOrGone, type Client, type Phase } from "./Client.ts"
import type { Answer } from "../support/Http.ts"
import { hardTtlMillis } from "./Life.ts"

/** How long before its response may expire a call is no longer repeated. */
const marginMillis = 5_000

/** How many answered calls are repeated at the start of a life. */
const repeatedAtStart = 20

const optionsOf = ({ body, key }: Book.Keyed) => ({ body, headers: { "idempotency-key": key } })

const promptOf = ({ body }: Book.Keyed) => (typeof body["prompt"] === "string" ? body["prompt"] : undefined)

/** Responses about a closed session need not be kept by the server. */
export const forgetSession = (book: Book.Book, id: string): void => {
  book.answered = book.answered.filter(({ path, text }) => !path.includes(id) && !text.includes(id))
}

export const make = (book: Book.Book, { ask, checkAnswer, leave, wrong }: Client, phase: Phase) => {
  const { unanswered } = book

  const repeatableAt = (now: number) => book.answered.filter(({ sent }) => now < sent + hardTtlMillis - marginMillis)

  const isOfOpen = ({ path }: Book.Keyed) =>
    path === "/sessions" || [...book.open.keys()].some((id) => path === `/sessions/${id}/turn`)

  /** Records the response to a pending call. */
  const settle = Effect.fnUntraced(function* (keyed: Book.Keyed, answer: Answer) {
    unanswered.splice(unanswered.indexOf(keyed), 1)
    if (keyed.path === "/sessions") Book.created(book, answer)
    const prompt = promptOf(keyed)
    if (prompt !== undefined) yield* checkAnswer(keyed.name, prompt, answer)
    const now = yield* Clock.currentTimeMillis
    // Refusals are not kept by the server.
    if ((answer.status === 200 || answer.status === 502) && isOfOpen(keyed))
      book.answered = [...repeatableAt(now), { ...keyed, ...answer }]
    return answer
  })

  const repeat = Effect.fnUntraced(function* (name: string, before: Book.Answered) {
    const response = yield* ask(name, [200, 502, ...busyOrGone], "POST", before.path, optionsOf(before))
    if (response.status === before.status && response.text === before.text) return
    // The server is shutting down.
    if (phase.mayBreak && response.status === 503) return
    const isKept = (yield* Clock.currentTimeMillis) < before.sent + hardTtlMillis && book.answered.includes(before)
    if (isKept) return yield* wrong(`${name}, which was answered ${before.status} ${before.text} before,`, response)
    if (before.path === "/sessions") Book.created(book, response)
  })

  return {
    /** Makes a call with a new key; a call without a response stays in the book, for the next life of the server. */
    ask: Effect.fnUntraced(function* (name: string, path: string, body: Book.Keyed["body"]) {
      const key = `soak-${yield* Random.next}`
      const keyed: Book.Keyed = { name, path, key, body, sent: yield* Clock.currentTimeMillis }
      unanswered.push(keyed)
      const allowed = [200, ...busyOrGone]
      const first = yield* leave(`${name} left`, ask(name, allowed, "POST", path, optionsOf(keyed)))
      const answer =
        first === undefined || first.status === 503
          ? yield* ask(`${name} repeated`, allowed, "POST", path, optionsOf(keyed))
          : first
      // The server is shutting down. The next life looks for the session that this call may have created.
      if (path === "/sessions" && answer.status === 502) book.abandoned++
      return yield* settle(keyed, answer)
    }),
    /** Repeats a call that was answered some time ago. */
    repeatAnswered: Effect.gen(function* () {
      const calls = repeatableAt(yield* Clock.currentTimeMillis)
      const before = calls[yield* Random.nextIntBetween(0, Math.max(calls.length, 1))]
      if (before !== undefined) yield* repeat("answered call", before)
    }),
    /** Calls that an earlier life left unanswered get a response in this one, and answered calls get the same response. */
    afterRestart: Effect.gen(function* () {
      const calls = repeatableAt(yield* Clock.currentTimeMillis).slice(-repeatedAtStart)
      yield* Effect.forEach(calls, (before) => repeat("answered call after a restart", before))
      for (let keyed = unanswered[0]; keyed !== undefined; keyed = unanswered[0]) {
        const { name, path } = keyed
        yield* settle(
          keyed,
          yield* ask(`${name} after a restart`, [200, 502, ...busyOrGone], "POST", path, optionsOf(keyed))
        )
      }
    })
  }
}
