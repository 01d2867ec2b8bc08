/**
 * Calls with a key: what a client was not told is told to it later, and what it was told is told to it again, byte for
 * byte, in this life of the server and in the next one.
 */
import { Clock, Effect, Random } from "effect"
import * as Book from "./Book.ts"
import { busyOrGone, type Client, type Phase } from "./Client.ts"
import type { Answer } from "./Http.ts"
import { hardTtlMillis } from "./Life.ts"

/** So much sooner than an answer may be forgotten, its call is not repeated any more. */
const marginMillis = 5_000

/** As many calls as a new life is asked again. */
const repeatedAtStart = 20

const headed = ({ body, key }: Book.Keyed) => ({ body, headers: { "idempotency-key": key } })

const promptOf = ({ body }: Book.Keyed) => (typeof body["prompt"] === "string" ? body["prompt"] : undefined)

/** What was answered about a session need not be kept any more once it is closed. */
export const forgetSession = (book: Book.Book, id: string): void => {
  book.answered = book.answered.filter(({ path, text }) => !path.includes(id) && !text.includes(id))
}

export const make = (book: Book.Book, { ask, hear, leave, wrong }: Client, phase: Phase) => {
  const { unanswered } = book

  const youngAt = (now: number) => book.answered.filter(({ sent }) => now < sent + hardTtlMillis - marginMillis)

  const isOfOpen = ({ path }: Book.Keyed) =>
    path === "/sessions" || [...book.open.keys()].some((id) => path === `/sessions/${id}/turn`)

  /** Takes the answer of a call that had none. */
  const settle = Effect.fnUntraced(function* (keyed: Book.Keyed, answer: Answer) {
    unanswered.splice(unanswered.indexOf(keyed), 1)
    if (keyed.path === "/sessions") Book.created(book, answer)
    const prompt = promptOf(keyed)
    if (prompt !== undefined) yield* hear(keyed.name, prompt, answer)
    const now = yield* Clock.currentTimeMillis
    // What was refused is not kept.
    if ((answer.status === 200 || answer.status === 502) && isOfOpen(keyed))
      book.answered = [...youngAt(now), { ...keyed, ...answer }]
    return answer
  })

  const repeat = Effect.fnUntraced(function* (name: string, before: Book.Answered) {
    const again = yield* ask(name, [200, 502, ...busyOrGone], "POST", before.path, headed(before))
    if (again.status === before.status && again.text === before.text) return
    // The server is being ended.
    if (phase.mayBreak && again.status === 503) return
    const isKept = (yield* Clock.currentTimeMillis) < before.sent + hardTtlMillis && book.answered.includes(before)
    if (isKept) return yield* wrong(`${name}, which was answered ${before.status} ${before.text} before,`, again)
    if (before.path === "/sessions") Book.created(book, again)
  })

  return {
    /** Asks with a new key; what gets no answer is in the book, for the next life of the server. */
    ask: Effect.fnUntraced(function* (name: string, path: string, body: Book.Keyed["body"]) {
      const key = `soak-${yield* Random.next}`
      const keyed: Book.Keyed = { name, path, key, body, sent: yield* Clock.currentTimeMillis }
      unanswered.push(keyed)
      const may = [200, ...busyOrGone]
      const first = yield* leave(`${name} left`, ask(name, may, "POST", path, headed(keyed)))
      const answer =
        first === undefined || first.status === 503
          ? yield* ask(`${name} repeated`, may, "POST", path, headed(keyed))
          : first
      // The server is being ended. What the last one was doing is looked for at the beginning of a life.
      if (path === "/sessions" && answer.status === 502) book.givenUp++
      return yield* settle(keyed, answer)
    }),
    /** Asks again for what was answered a while ago. */
    again: Effect.gen(function* () {
      const young = youngAt(yield* Clock.currentTimeMillis)
      const before = young[yield* Random.nextIntBetween(0, Math.max(young.length, 1))]
      if (before !== undefined) yield* repeat("answered call", before)
    }),
    /** What an earlier life left unanswered has an answer in this one, and what it has answered has the same. */
    afterRestart: Effect.gen(function* () {
      const young = youngAt(yield* Clock.currentTimeMillis).slice(-repeatedAtStart)
      yield* Effect.forEach(young, (before) => repeat("answered call after a restart", before))
      for (let keyed = unanswered[0]; keyed !== undefined; keyed = unanswered[0]) {
        const { name, path } = keyed
        yield* settle(
          keyed,
          yield* ask(`${name} after a restart`, [200, 502, ...busyOrGone], "POST", path, headed(keyed))
        )
      }
    })
  }
}
