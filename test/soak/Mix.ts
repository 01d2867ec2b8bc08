/**
 * A random mix of calls by concurrent clients: turns, streams, files, keys, cancels, disconnects, agents that crash.
 *
 * Each response is checked (see Client.ts), and what it acknowledges is recorded in the book.
 */
import { Clock, Effect, Random } from "effect"
import * as Form from "../support/Form.ts"
import type * as Http from "../support/Http.ts"
import * as Answers from "./Answers.ts"
import * as Book from "./Book.ts"
import * as Client from "./Client.ts"
import * as Keyed from "./Keyed.ts"

const maxSessions = 40
const workers = 12

/** The shortest lifetime that an upload may have. */
const fileSeconds = 60

const { busyOrGone } = Client

export const run = Effect.fnUntraced(function* (server: Client.Server, book: Book.Book, phase: Client.Phase) {
  const { open, uploads } = book
  const client = Client.make(book, server, phase)
  const { ask, checkAnswer, leave, wrong } = client
  const keyed = Keyed.make(book, client, phase)

  const newPrompt = (text: string) => `${text} ${++book.prompts}`

  interface TurnOptions extends Http.CallOptions {
    readonly allowed?: ReadonlyArray<number>
    readonly files?: ReadonlyArray<string>
  }
  const turn = Effect.fnUntraced(function* (name: string, id: string, prompt: string, options: TurnOptions = {}) {
    const { files, headers, allowed = [200] } = options
    const answer = yield* ask(name, [...allowed, ...busyOrGone], "POST", `/sessions/${id}/turn`, {
      body: { prompt, ...(files === undefined ? {} : { files }) },
      headers
    })
    yield* checkAnswer(name, prompt, answer)
    // If only the file is gone, the session is still open.
    if (!answer.text.includes("file not found")) Book.turned(book, id, answer)
    return answer
  })

  const create = Effect.suspend(() =>
    open.size < maxSessions ? keyed.ask("open", "/sessions", { agent: "demo", meta: { soak: true } }) : Effect.void
  )

  const close = Effect.fnUntraced(function* (id: string) {
    open.delete(id)
    Keyed.forgetSession(book, id)
    book.uncertain.add(id)
    const { status } = yield* ask("close", [200, 404], "DELETE", `/sessions/${id}`)
    if (status !== 200) return
    book.uncertain.delete(id)
    book.closed.add(id)
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

  /** An expired file must be refused; an older one may have been deleted with its session. */
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
    if (answer.status !== 200 || phase.mayBreak || Answers.completedIn(answer.text) !== undefined) return
    const failure = Answers.failureIn(answer.text)
    if (failure === undefined || !busyOrGone.includes(failure)) return yield* wrong("a stream", answer)
  })

  const keyedTurn = Effect.fnUntraced(function* (id: string) {
    Book.turned(book, id, yield* keyed.ask("keyed turn", `/sessions/${id}/turn`, { prompt: yield* slow }))
  })

  const oneRun = Effect.gen(function* () {
    const prompt = newPrompt("/echo run")
    yield* checkAnswer("run", prompt, yield* ask("run", [200, 429, 503], "POST", "/run", { body: { prompt } }))
  })

  /** A turn that fails, unless another client cancels it first. */
  const failing = Effect.fnUntraced(function* (name: string, id: string, prompt: string) {
    const answer = yield* turn(name, id, prompt, { allowed: [200, 502] })
    if (answer.status === 200 && !answer.text.includes('"stop_reason":"cancelled"')) return yield* wrong(name, answer)
  })
  const actions: ReadonlyArray<(id: string) => Effect.Effect<unknown, Http.Lost>> = [
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
    () => keyed.repeatAnswered,
    () => keyed.repeatAnswered,
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
    // The number of the prompt is the exit code.
    (id) => failing("crash", id, newPrompt("/exit")),
    (id) => failing("failure", id, newPrompt("/fail no luck")),
    () => oneRun,
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

  const tolerant = <A>(effect: Effect.Effect<A, Http.Lost>) =>
    Effect.catchTag(effect, "Lost", (lost) => (phase.mayBreak ? Effect.sleep("50 millis") : Effect.die(lost)))

  yield* tolerant(keyed.afterRestart)
  const work = Effect.gen(function* () {
    while (!phase.isOver) yield* tolerant(act)
  })
  yield* Effect.all(
    Array.from({ length: workers }, () => work),
    { concurrency: "unbounded", discard: true }
  )
})

/** Closes all open sessions, even those that were never acknowledged. */
export const closeAll = Effect.fnUntraced(function* (server: Client.Server, book: Book.Book) {
  const { text } = yield* Client.call(server, "GET", "/sessions?include_closed=false")
  for (const [, id] of text.matchAll(/"session_id":"([^"]+)"/g)) yield* Client.call(server, "DELETE", `/sessions/${id}`)
  book.open.clear()
  book.uncertain.clear()
  book.answered = []
})
