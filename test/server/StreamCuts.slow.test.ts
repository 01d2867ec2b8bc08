/**
 * Event streams whose connection is cut anywhere, and resumed: no frame is lost, and none comes twice.
 *
 * `SEED` decides where the random ones are cut.
 */
import * as NodeServices from "@effect/platform-node/NodeServices"
import { assert, it } from "@effect/vitest"
import { Effect, FileSystem, Random } from "effect"
import * as ServerProcess from "./ServerProcess.ts"
import { type App, appOf, openStream, serve } from "./Support.ts"

const seed = process.env["SEED"] ?? "1"

interface Turn {
  readonly id: string
  readonly key: string
  readonly prompt: string
}

/** What arrives of a stream after a frame, up to a number of characters, all of which are one byte. */
const read = Effect.fnUntraced(function* (app: App, turn: Turn, after: number | undefined, upTo = Infinity) {
  const answer = yield* openStream(app, `/sessions/${turn.id}/turn`, {
    body: { prompt: turn.prompt },
    headers: { "idempotency-key": turn.key, ...(after === undefined ? {} : { "last-event-id": String(after) }) }
  })
  assert.strictEqual(answer.status, 200)
  let text = ""
  while (text.length < upTo) {
    const more = yield* answer.next
    if (more === "") break
    text += more
  }
  return text.slice(0, upTo)
}, Effect.scoped)

/** The whole frames of a text, without comments, and the number of the last one that has one. */
const framesIn = (text: string, before = 0) => {
  const frames = text.split(/(?<=\n\n)/).filter((frame) => frame.endsWith("\n\n") && !frame.startsWith(":"))
  const numbers = frames.flatMap((frame) => /^id: (\d+)\n/.exec(frame)?.slice(1) ?? [])
  return { text: frames.join(""), last: Number(numbers.at(-1) ?? before) }
}

const isWhole = (text: string) => /event: (done|error)\ndata: [^\n]*\n\n$/.test(text)

const chunks = "/chunks 6 15"
const said = (text: string) => [...text.matchAll(/"content":"(\d+ )"/g)].map(([, number]) => number).join("")

it.live(
  "a live stream that is cut at any byte goes on after the last whole frame, and the turn is run once",
  () =>
    Effect.gen(function* () {
      const server = yield* serve({ maxOpenSessions: 8 })
      const app = yield* server.mint("app")
      const sessions = yield* Effect.forEach(Array.from({ length: 6 }), () => app.open)
      const [{ id: first } = { id: "" }] = sessions
      const whole = yield* read(app, { id: first, key: "whole", prompt: chunks }, undefined)
      assert.isTrue(isWhole(whole), whole)
      // The numbers of turns, which stand in the last frame, have at most three digits more.
      const cuts = Array.from({ length: whole.length + 3 }, (_, at) => at)
      const turns = yield* Effect.forEach(
        sessions,
        Effect.fnUntraced(function* ({ id }, worker) {
          const own = cuts.filter((cut) => cut % sessions.length === worker)
          for (const cut of own) {
            const turn: Turn = { id, key: `cut-${cut}`, prompt: chunks }
            const before = framesIn(yield* read(app, turn, undefined, cut))
            const after = framesIn(yield* read(app, turn, before.last))
            const kept = yield* read(app, turn, undefined)
            const got = isWhole(before.text) ? before.text : before.text + after.text
            assert.strictEqual(got, kept, `cut after ${cut} bytes`)
            assert.strictEqual(said(kept), "1 2 3 4 5 6 ")
            assert.include(kept, '"stop_reason":"end_turn"')
          }
          return own.length
        }),
        { concurrency: "unbounded" }
      )
      for (const [worker, { id }] of sessions.entries()) {
        const extra = worker === 0 ? 1 : 0
        assert.strictEqual((yield* app.state(id)).turn_count, (turns[worker] ?? 0) + extra)
      }
    }).pipe(Effect.scoped),
  600_000
)

it.live(
  "streams that are cut again and again at random give the same text as one that is not",
  () =>
    Effect.gen(function* () {
      const server = yield* serve({ maxOpenSessions: 8 })
      const app = yield* server.mint("app")
      const sessions = yield* Effect.forEach(Array.from({ length: 5 }), () => app.open)
      yield* Effect.forEach(
        sessions,
        Effect.fnUntraced(function* ({ id }) {
          for (let round = 0; round < 20; round++) {
            const turn: Turn = { id, key: `random-${round}`, prompt: "/chunks 12 5" }
            let got = ""
            let last = 0
            while (!isWhole(got)) {
              const upTo = yield* Random.nextIntBetween(1, 400)
              const more = framesIn(yield* read(app, turn, last === 0 ? undefined : last, upTo), last)
              got += more.text
              last = more.last
            }
            assert.strictEqual(said(got), "1 2 3 4 5 6 7 8 9 10 11 12 ")
            assert.strictEqual(got, yield* read(app, turn, 0))
          }
          assert.strictEqual((yield* app.state(id)).turn_count, 20)
        }),
        { concurrency: "unbounded" }
      )
    }).pipe(Effect.scoped, Random.withSeed(seed)),
  600_000
)

it.live(
  "a stream that was cut at any byte goes on after its server was killed; a turn that this cut is a gap and an unknown outcome",
  () =>
    Effect.gen(function* () {
      const fs = yield* FileSystem.FileSystem
      const data = yield* fs.makeTempDirectoryScoped()
      const first = yield* ServerProcess.start("Server", data)
      const before = appOf(first.url, first.token)
      const over: Turn = { id: (yield* before.open).id, key: "over", prompt: chunks }
      const whole = yield* read(before, over, undefined)
      assert.isTrue(isWhole(whole), whole)
      const cut: Turn = { id: (yield* before.open).id, key: "cut", prompt: "/wait" }
      const seen = yield* read(
        before,
        cut,
        undefined,
        'id: 1\nevent: text\ndata: {"type":"text","content":"Waiting."}\n\n'.length
      )
      yield* first.kill

      const second = yield* ServerProcess.start("Server", data)
      const app = appOf(second.url, first.token)
      for (let byte = 0; byte <= whole.length; byte++) {
        const had = framesIn(whole.slice(0, byte))
        const rest = yield* read(app, over, had.last)
        assert.strictEqual(isWhole(had.text) ? had.text : had.text + rest, whole, `cut after ${byte} bytes`)
      }
      assert.strictEqual((yield* app.state(over.id)).turn_count, 1)

      const { last } = framesIn(seen)
      assert.strictEqual(last, 1)
      const lost = yield* read(app, cut, last)
      assert.match(
        lost,
        /^event: gap\ndata: {"after":1,"next":null}\n\nevent: error\ndata: {"status":502,"body":{"ok":false,"error":"outcome unknown: the server restarted during this call",[^\n]*}}\n\n$/
      )
      assert.strictEqual((yield* app.state(cut.id)).turn_count, 1)
      const again = yield* read(app, { ...cut, key: "next", prompt: "/echo next" }, undefined)
      assert.include(again, '"content":"next"')
    }).pipe(Effect.scoped, Effect.provide(NodeServices.layer)),
  600_000
)
