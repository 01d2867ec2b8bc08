/**
 * No prompt reaches an agent twice, whatever becomes of its connections and its server, and no event a reader of its stream.
 *
 * `SEED` decides what happens; `KILLS` is how often the server is killed.
 */
import * as NodeServices from "@effect/platform-node/NodeServices"
import { assert, it } from "@effect/vitest"
import { Deferred, Effect, Exit, Fiber, FileSystem, Option, Random, Scope } from "effect"
import { readFileSync } from "node:fs"
import * as ServerProcess from "./ServerProcess.ts"
import { type App, appOf, openStream } from "./Support.ts"

const kills = Number(process.env["KILLS"] ?? 3)
const seed = process.env["SEED"] ?? "1"
const sessions = 5

interface Asked {
  readonly id: string
  readonly key: string
  readonly prompt: string
}

/** The number of the last frame that was read of each call, by its prompt. */
const lastRead = new Map<string, number>()

/** The streams with a frame that does not follow the one before. */
const outOfOrder: Array<string> = []

/** Reads a stream that begins after a frame: each frame follows the one before, unless a crash has left a gap. */
const readFrames = Effect.fnUntraced(function* (
  { next }: { readonly next: Effect.Effect<string> },
  prompt: string,
  after: number
) {
  let [text, unread, last] = ["", "", after]
  while (true) {
    const more = yield* next
    if (more === "") return text
    text += more
    const frames = (unread + more).split("\n\n")
    unread = frames.pop() ?? ""
    for (const frame of frames) {
      const id = /^id: (\d+)$/m.exec(frame)?.[1]
      if (id === undefined) continue
      if (Number(id) !== ++last) outOfOrder.push(`${prompt}: ${text}`)
      lastRead.set(prompt, Math.max(last, lastRead.get(prompt) ?? 0))
    }
  }
})

/** What came of asking once: nothing, where the connection was lost or left. A stream goes on after the last frame read. */
const ask = Effect.fnUntraced(function* (app: App, { id, key, prompt }: Asked, accept: string) {
  const isStream = accept !== "application/json"
  const after = lastRead.get(prompt)
  const answer = yield* openStream(app, `/sessions/${id}/turn`, {
    body: { prompt },
    headers: {
      accept,
      "idempotency-key": key,
      ...(isStream && after !== undefined ? { "last-event-id": String(after) } : {})
    }
  })
  const text = yield* isStream && answer.status === 200 ? readFrames(answer, prompt, after ?? 0) : answer.rest
  // A stream that was cut has no end; a server that ends asks to come again.
  if (answer.status === 503 || (isStream && answer.status === 200 && !isWhole(text))) return Option.none()
  return Option.some({ status: answer.status, text })
}, Effect.scoped)

const isWhole = (text: string) => /event: (done|error)\ndata: .*\n\n$/.test(text)

it.live(
  "no prompt reaches an agent twice, and no event a reader: disconnects, repeats and kills of the server at random",
  () =>
    Effect.gen(function* () {
      const fs = yield* FileSystem.FileSystem
      const data = yield* fs.makeTempDirectoryScoped()
      const outer = yield* Effect.scope
      const begin = Effect.gen(function* () {
        const scope = yield* Scope.fork(outer)
        const server = yield* Scope.provide(ServerProcess.start("KeyedServer", data), scope)
        return { ...server, end: Effect.andThen(server.kill, Scope.close(scope, Exit.void)) }
      })
      let server = yield* begin
      const { token } = server
      const app = () => appOf(server.url, token)
      const enough = yield* Deferred.make<void>()

      const opened = yield* Effect.forEach(Array.from({ length: sessions }), () => app().open)
      const { id: cutShort } = yield* app().open
      const answers: Array<Asked & { readonly status: number; readonly text: string }> = []

      /** One prompt after the other, each repeated until it has an answer. */
      const work = Effect.fnUntraced(function* (id: string, name: string) {
        for (let turn = 1; !(yield* Deferred.isDone(enough)); turn++) {
          const millis = yield* Random.nextIntBetween(0, 60)
          const asked: Asked = { id, key: `${name}-${turn}`, prompt: `/chunks 5 ${millis} ${name}-${turn}.` }
          let answer: Option.Option<{ readonly status: number; readonly text: string }> = Option.none()
          while (Option.isNone(answer)) {
            const accept = (yield* Random.nextBoolean) ? "application/json" : "text/event-stream"
            const patience = yield* Random.nextIntBetween(10, 1_000)
            const once = ask(app(), asked, accept)
            const both = (yield* Random.nextBoolean) ? Effect.raceFirst(once, ask(app(), asked, accept)) : once
            answer = yield* both.pipe(
              Effect.timeoutOption(patience),
              Effect.map(Option.flatten),
              Effect.catchCause(() => Effect.as(Effect.sleep(20), Option.none()))
            )
            yield* Effect.sleep(yield* Random.nextIntBetween(0, 200))
          }
          answers.push({ ...asked, ...answer.value })
        }
      })

      const workers = yield* Effect.forEach(opened, ({ id }, index) => Effect.forkChild(work(id, `s${index}`)))
      for (let kill = 0; kill < kills; kill++) {
        yield* Effect.sleep(yield* Random.nextIntBetween(50, 900))
        yield* server.end
        server = yield* begin
      }
      const held: Asked = { id: cutShort, key: "held", prompt: "/wait held." }
      const holding = yield* Effect.forkChild(Effect.exit(ask(app(), held, "application/json")))
      yield* app().turns(cutShort, 1)
      yield* server.end
      yield* Fiber.join(holding)
      server = yield* begin
      const unknown = yield* ask(app(), held, "application/json")
      assert.include(Option.getOrThrow(unknown).text, "outcome unknown: the server restarted during this call")

      yield* Deferred.succeed(enough, undefined)
      yield* Effect.forEach(workers, Fiber.join)
      for (const [index, { id }] of opened.entries()) {
        const last: Asked = { id, key: `last-${index}`, prompt: `/chunks 1 0 last-${index}.` }
        const answer = Option.getOrThrow(yield* ask(app(), last, "application/json"))
        assert.include(answer.text, '"stop_reason":"end_turn"')
        answers.push({ ...last, ...answer })
      }

      assert.isAbove(answers.length, sessions)
      const sent = opened.map(({ cwd }) => readFileSync(`${cwd}/sent.ndjson`, "utf8")).join("\n")
      for (const { key, prompt, status, text, ...asked } of answers) {
        assert.include([200, 502], status, text)
        const arrivals = sent.split(`${prompt}"`).length - 1
        assert.isAtMost(arrivals, 1, prompt)
        if (text.includes('"stop_reason":"end_turn"')) assert.strictEqual(arrivals, 1, prompt)
        const again = yield* ask(app(), { ...asked, key, prompt }, "application/json")
        const once = Option.getOrThrow(again)
        if (text.startsWith("{")) assert.deepStrictEqual(once, { status, text })
        else assert.include([200, 502], once.status)
        for (const after of [0, 2]) {
          lastRead.set(prompt, after)
          yield* ask(app(), { ...asked, key, prompt }, "text/event-stream")
        }
      }
      assert.deepStrictEqual(outOfOrder, [])
    }).pipe(Random.withSeed(seed), Effect.provide(NodeServices.layer)),
  240_000 + kills * 10_000
)
