/**
 * What many clients do at once for a while: turns, streams, keys, cancels, disconnects, agents that crash.
 */
import { Clock, Effect, Random } from "effect"
import { call, type Call } from "./Http.ts"

export interface Server {
  readonly url: string
  readonly token: string
}

/** How often each thing was done, and what was answered. */
export type Counts = Map<string, number>

const maxSessions = 40
const workers = 16

/** What a server may answer to any of this. */
const expected = new Set([200, 404, 410, 429, 502, 503])

/** One that was never used. */
const newKey = Effect.map(Random.next, (number) => `soak-${number}`)

const count = (counts: Counts, name: string) => counts.set(name, (counts.get(name) ?? 0) + 1)

/** Runs the mix for so many milliseconds, then closes every session that is left. */
export const run = Effect.fnUntraced(function* (server: Server, millis: number, counts: Counts) {
  const open: Array<string> = []
  const until = (yield* Clock.currentTimeMillis) + millis

  const ask = Effect.fnUntraced(function* (name: string, method: string, path: string, options: Call = {}) {
    const answer = yield* call(server.url, server.token, method, path, options)
    count(counts, `${name} ${answer.status}`)
    if (!expected.has(answer.status)) return yield* Effect.die(new Error(`${name}: ${answer.status} ${answer.text}`))
    return answer
  })

  const turn = (name: string, id: string, prompt: string, headers: Readonly<Record<string, string>> = {}) =>
    ask(name, "POST", `/sessions/${id}/turn`, { body: { prompt }, headers })

  /** Leaves an answer before it is there. */
  const leave = Effect.fnUntraced(function* <A>(name: string, effect: Effect.Effect<A, Error>) {
    count(counts, name)
    yield* Effect.timeoutOption(effect, yield* Random.nextIntBetween(1, 150))
  })

  const create = Effect.gen(function* () {
    const key = yield* newKey
    const answer = yield* ask("open", "POST", "/sessions", {
      body: { agent: "demo", meta: { soak: true } },
      headers: { "idempotency-key": key }
    })
    const id = /"session_id":"([^"]+)"/.exec(answer.text)?.[1]
    if (answer.status === 200 && id !== undefined) open.push(id)
  })

  const close = (id: string) =>
    Effect.suspend(() => {
      open.splice(open.indexOf(id), 1)
      return ask("close", "DELETE", `/sessions/${id}`)
    })

  const stream = { accept: "text/event-stream" }
  const chunks = Effect.map(Random.nextIntBetween(1, 200), (number) => `/chunks ${number}`)
  const slow = Effect.map(Random.nextIntBetween(1, 20), (number) => `/chunks ${number} 10`)

  const actions: ReadonlyArray<(id: string) => Effect.Effect<unknown, Error>> = [
    () => (open.length < maxSessions ? create : Effect.void),
    () => (open.length < maxSessions ? create : Effect.void),
    (id) => turn("turn", id, "Which word did I tell you?"),
    (id) => Effect.flatMap(chunks, (prompt) => turn("turn of chunks", id, prompt)),
    (id) => Effect.flatMap(chunks, (prompt) => turn("stream", id, prompt, stream)),
    (id) => Effect.flatMap(slow, (prompt) => leave("stream left", turn("stream", id, prompt, stream))),
    (id) => Effect.flatMap(slow, (prompt) => leave("turn left", turn("turn", id, prompt))),
    (id) =>
      Effect.gen(function* () {
        const headers = { "idempotency-key": yield* newKey }
        const prompt = yield* slow
        yield* leave("keyed turn left", turn("keyed turn", id, prompt, headers))
        yield* turn("keyed turn repeated", id, prompt, { ...headers, ...stream })
      }),
    (id) =>
      Effect.all([turn("turn to be cancelled", id, "/chunks 50 10"), ask("cancel", "POST", `/sessions/${id}/cancel`)], {
        concurrency: 2
      }),
    (id) => turn("crash", id, "/exit 3"),
    (id) => turn("failure", id, "/fail no luck"),
    () => ask("run", "POST", "/run", { body: { prompt: "/echo {}" } }),
    (id) => ask("events", "GET", `/sessions/${id}/events`),
    () => ask("list", "GET", "/sessions?include_closed=false"),
    (id) => Effect.flatMap(Random.next, (chance) => (chance < 0.5 ? close(id) : Effect.void))
  ]

  const act = Effect.gen(function* () {
    const id = open[yield* Random.nextIntBetween(0, Math.max(open.length, 1))]
    const action = actions[yield* Random.nextIntBetween(0, actions.length)]
    yield* id === undefined || action === undefined ? create : action(id)
  })

  const work = Effect.gen(function* () {
    while ((yield* Clock.currentTimeMillis) < until) yield* act
  })
  yield* Effect.all(
    Array.from({ length: workers }, () => work),
    { concurrency: "unbounded", discard: true }
  )
  yield* Effect.forEach([...open], close, { discard: true })
})
