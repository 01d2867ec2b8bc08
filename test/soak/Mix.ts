/**
 * What many clients do at once for a while: turns, streams, files, keys, cancels, disconnects, agents that crash.
 *
 * Each answer is held to what it may be. What a client was told goes into the book.
 */
import { Clock, Effect, Random } from "effect"
import * as Form from "../conformance/Form.ts"
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

const maxSessions = 40
const workers = 12

/** The shortest that there is. */
const fileSeconds = 60

/** Somebody else may have closed the session, and there may be too much to do. */
const busyOrGone = [404, 410, 429, 503]

export const run = Effect.fnUntraced(function* (server: Server, book: Book, phase: Phase) {
  const { counts, open, unanswered, uploads } = book
  const count = (name: string) => counts.set(name, (counts.get(name) ?? 0) + 1)

  const wrong = (name: string, { status, text }: Answer) =>
    Effect.die(new Error(`${name} was answered ${status} ${text.slice(0, 2_000)}`))

  const ask = Effect.fnUntraced(function* (
    name: string,
    may: ReadonlyArray<number>,
    method: string,
    path: string,
    options: Call = {}
  ) {
    const answer = yield* call(server.url, server.token, method, path, options).pipe(
      Effect.tapError(() => Effect.sync(() => count(`${name} lost`)))
    )
    count(`${name} ${answer.status}`)
    // A server that is ended ends its turns.
    const mayBe = phase.mayBreak ? [...may, 502, 503] : may
    return mayBe.includes(answer.status) ? answer : yield* wrong(name, answer)
  })

  const newPrompt = (what: string) => `${what} ${++book.prompts}`
  const newKey = Effect.map(Random.next, (number) => `soak-${number}`)

  const told = (id: string, { status, text }: Answer) => {
    if (status === 410 || status === 404) return open.delete(id)
    const index = Number(/"turn_index":(\d+)/.exec(text)?.[1] ?? 0)
    return open.has(id) && open.set(id, Math.max(open.get(id) ?? 0, index))
  }

  interface TurnOptions extends Call {
    readonly may?: ReadonlyArray<number>
    readonly files?: ReadonlyArray<string>
  }
  const turn = Effect.fnUntraced(function* (name: string, id: string, prompt: string, options: TurnOptions = {}) {
    const { files, headers, may = [200] } = options
    const answer = yield* ask(name, [...may, ...busyOrGone], "POST", `/sessions/${id}/turn`, {
      body: { prompt, ...(files === undefined ? {} : { files }) },
      headers
    })
    // Of a file that is gone, the session is still there.
    if (!answer.text.includes("file not found")) told(id, answer)
    return answer
  })

  /** Leaves an answer before it is there. */
  const leave = Effect.fnUntraced(function* <A>(name: string, effect: Effect.Effect<A, Lost>) {
    count(name)
    return yield* Effect.timeoutOption(effect, yield* Random.nextIntBetween(1, 150))
  })

  /** Asks with a key; what gets no answer is in the book, for the next life of the server. */
  const askKeyed = Effect.fnUntraced(function* (name: string, path: string, body: object) {
    const key = yield* newKey
    const keyed = { name, path, key, body }
    unanswered.push(keyed)
    const left = yield* leave(`${name} left`, ask(name, [200, ...busyOrGone], "POST", path, headed(keyed)))
    const answer =
      left._tag === "Some" && left.value.status !== 503
        ? left.value
        : yield* ask(`${name} repeated`, [200, ...busyOrGone], "POST", path, headed(keyed))
    unanswered.splice(unanswered.indexOf(keyed), 1)
    return answer
  })
  const headed = ({ body, key }: { readonly key: string; readonly body: object }) => ({
    body,
    headers: { "idempotency-key": key }
  })

  const opened = (answer: Answer) => {
    const id = /"session_id":"([^"]+)"/.exec(answer.text)?.[1]
    if (answer.status === 200 && id !== undefined) open.set(id, 0)
  }
  const create = Effect.suspend(() => {
    if (open.size >= maxSessions) return Effect.void
    return Effect.map(askKeyed("open", "/sessions", { agent: "demo", meta: { soak: true } }), opened)
  })

  const close = Effect.fnUntraced(function* (id: string) {
    open.delete(id)
    const { status } = yield* ask("close", [200, 404], "DELETE", `/sessions/${id}`)
    if (status === 200) book.closed.add(id)
  })

  const upload = Effect.fnUntraced(function* (content: string) {
    const form = Form.of(Form.file(content), Form.field("ttl_secs", String(fileSeconds)))
    const { status, text } = yield* ask("upload", [200, 429], "POST", "/files", form)
    const token = /"file_token":"([^"]+)"/.exec(text)?.[1]
    if (status !== 200 || token === undefined) return undefined
    const until = (yield* Clock.currentTimeMillis) + fileSeconds * 1000
    uploads.push({ token, until })
    return token
  })

  const turnWithFile = Effect.fnUntraced(function* (id: string) {
    const line = newPrompt("line")
    const token = yield* upload(`${line}\nand another`)
    if (token === undefined) return
    const answer = yield* turn("turn with a file", id, newPrompt("What does it say?"), { files: [token] })
    const isGone = answer.status === 404 && answer.text.includes("file not found")
    const isUnread = answer.text.includes('"stop_reason":"end_turn"') && !answer.text.includes(line)
    if (isGone || isUnread) return yield* wrong("a file", answer)
  })

  /** One whose time is over is nobody's; one that a deleted session used went with it. */
  const turnWithOldFile = Effect.fnUntraced(function* (id: string) {
    const upload = uploads[yield* Random.nextIntBetween(0, Math.max(uploads.length, 1))]
    if (upload === undefined) return
    const isOver = upload.until < (yield* Clock.currentTimeMillis)
    const name = `turn with ${isOver ? "an expired" : "an older"} file`
    const answer = yield* turn(name, id, newPrompt("And this one?"), { files: [upload.token] })
    if (!isOver) return
    uploads.splice(uploads.indexOf(upload), 1)
    if (answer.status === 200) return yield* wrong(name, answer)
  })

  const stream = { headers: { accept: "text/event-stream" } }
  const chunks = Effect.map(Random.nextIntBetween(1, 200), (number) => newPrompt(`/chunks ${number} 0`))
  const slow = Effect.map(Random.nextIntBetween(1, 20), (number) => newPrompt(`/chunks ${number} 10`))

  const wholeStream = Effect.fnUntraced(function* (id: string) {
    const answer = yield* turn("stream", id, yield* chunks, stream)
    const isWhole = /event: (done|error)\ndata: .*\n\n$/.test(answer.text)
    if (answer.status === 200 && !isWhole && !phase.mayBreak) return yield* wrong("a stream", answer)
  })

  const keyedTurn = Effect.fnUntraced(function* (id: string) {
    told(id, yield* askKeyed("keyed turn", `/sessions/${id}/turn`, { prompt: yield* slow }))
  })

  /** A turn that fails, unless another client cancels it before. */
  const failing = Effect.fnUntraced(function* (name: string, id: string, prompt: string) {
    const answer = yield* turn(name, id, prompt, { may: [200, 502] })
    if (answer.status === 200 && !answer.text.includes('"stop_reason":"cancelled"')) return yield* wrong(name, answer)
  })
  const actions: ReadonlyArray<(id: string) => Effect.Effect<unknown, Lost>> = [
    () => create,
    () => create,
    (id) => turn("turn", id, newPrompt("Which word did I tell you?")),
    (id) => Effect.flatMap(chunks, (prompt) => turn("turn of chunks", id, prompt)),
    wholeStream,
    (id) => Effect.flatMap(slow, (prompt) => leave("stream left", turn("stream", id, prompt, stream))),
    (id) => Effect.flatMap(slow, (prompt) => leave("turn left", turn("turn", id, prompt))),
    keyedTurn,
    keyedTurn,
    keyedTurn,
    (id) =>
      Effect.all(
        [
          turn("turn to be cancelled", id, newPrompt("/chunks 50 10")),
          ask("cancel", [200, ...busyOrGone], "POST", `/sessions/${id}/cancel`)
        ],
        { concurrency: 2 }
      ),
    turnWithFile,
    turnWithFile,
    turnWithOldFile,
    () => leave("upload left", upload("x".repeat(150_000))),
    // Its number is the exit code too.
    (id) => failing("crash", id, newPrompt("/exit")),
    (id) => failing("failure", id, newPrompt("/fail no luck")),
    () => ask("run", [200, 429, 503], "POST", "/run", { body: { prompt: newPrompt("/echo") } }),
    (id) => ask("events", [200, 404], "GET", `/sessions/${id}/events`),
    () => ask("list", [200], "GET", "/sessions?include_closed=false"),
    (id) => Effect.flatMap(Random.next, (chance) => (chance < 0.5 ? close(id) : Effect.void))
  ]

  const act = Effect.gen(function* () {
    const ids = [...open.keys()]
    const id = ids[yield* Random.nextIntBetween(0, Math.max(ids.length, 1))]
    const action = actions[yield* Random.nextIntBetween(0, actions.length)]
    yield* id === undefined || action === undefined ? create : action(id)
  })

  /** What an earlier life left unanswered has an answer in this one. */
  const repeat = Effect.gen(function* () {
    for (let keyed = unanswered[0]; keyed !== undefined; keyed = unanswered[0]) {
      const { name, path } = keyed
      const answer = yield* ask(`${name} after a restart`, [200, 502, ...busyOrGone], "POST", path, headed(keyed))
      unanswered.shift()
      if (path === "/sessions") opened(answer)
    }
  })

  const tolerant = <A>(effect: Effect.Effect<A, Lost>) =>
    Effect.catchTag(effect, "Lost", (lost) => (phase.mayBreak ? Effect.sleep("50 millis") : Effect.die(lost)))

  yield* tolerant(repeat)
  const work = Effect.gen(function* () {
    while (!phase.isOver) yield* tolerant(act)
  })
  yield* Effect.all(
    Array.from({ length: workers }, () => work),
    { concurrency: "unbounded", discard: true }
  )
})

/** Closes every session that is open, also those whose client was never told. */
export const closeAll = Effect.fnUntraced(function* ({ token, url }: Server, book: Book) {
  const { text } = yield* call(url, token, "GET", "/sessions?include_closed=false")
  for (const [, id] of text.matchAll(/"session_id":"([^"]+)"/g)) yield* call(url, token, "DELETE", `/sessions/${id}`)
  book.open.clear()
})
